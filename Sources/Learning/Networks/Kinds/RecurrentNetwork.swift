/// A stack of recurrent layers between the embedding and the output layer (Mikolov et al. 2010; Zaremba et al. 2014).
enum RecurrentNetwork: Architecture {
  static let keys = ["cell"]

  static func outputSize(of model: ModelConfiguration) -> Int { model.hiddenSizes.last ?? model.embeddingSize }

  static func parts(
    of model: ModelConfiguration, vocabularySize: Int, _ builder: inout NetworkBuilder
  ) -> (any InputPart, [any Part], SoftmaxPart) {
    let embedding = Embedding(
      vocabularySize: vocabularySize, size: model.embeddingSize, isShared: model.tiedWeights, &builder)
    var parts: [any Part] = [Dropout(probability: model.dropout, site: 0, outputSize: model.embeddingSize)]
    var below = model.embeddingSize
    for (index, size) in model.hiddenSizes.enumerated() {
      parts.append(RecurrentLayer(model.cell, index: index, inputSize: below, size: size, &builder))
      parts.append(Dropout(probability: model.dropout, site: index + 1, outputSize: size))
      below = size
    }
    let head = SoftmaxPart(
      vocabularySize: vocabularySize, hiddenSize: below, shared: model.tiedWeights ? embedding.table : nil, &builder)
    return (embedding, parts, head)
  }
}
