/// A network that sees a fixed number of tokens (Bengio et al. 2003): their embeddings side by side, layers of units above
/// them, and with `direct` the embeddings beside the top layer too.
enum WindowNetwork: Architecture {
  static let keys = ["window", "activation", "direct"]

  static func outputSize(of model: ModelConfiguration) -> Int {
    (model.hiddenSizes.last ?? 0) + (model.direct ? model.window * model.embeddingSize : 0)
  }

  static func parts(
    of model: ModelConfiguration, vocabularySize: Int, _ builder: inout NetworkBuilder
  ) -> (any InputPart, [any Part], SoftmaxPart) {
    let embedding = Embedding(
      vocabularySize: vocabularySize, size: model.embeddingSize, window: model.window, isShared: model.tiedWeights,
      &builder)
    var layers: [any Part] = []
    var below = embedding.outputSize
    for (index, size) in model.hiddenSizes.enumerated() {
      layers.append(DenseLayer(model.activation, index: index, inputSize: below, size: size, &builder))
      layers.append(Dropout(probability: model.dropout, site: index + 1, outputSize: size))
      below = size
    }
    let whole =
      model.direct ? [DirectConnection(layers: layers, inputSize: embedding.outputSize)] : layers
    let head = SoftmaxPart(
      vocabularySize: vocabularySize, hiddenSize: outputSize(of: model),
      shared: model.tiedWeights ? embedding.table : nil,
      &builder)
    return (
      embedding, [Dropout(probability: model.dropout, site: 0, outputSize: embedding.outputSize)] + whole, head
    )
  }
}
