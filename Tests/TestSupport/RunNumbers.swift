import Checkpoints
import Networks

extension TemporaryFolder {
  /// All numbers of a run's newest checkpoint but those that depend on time, for comparing bits: parameters, lane states,
  /// what the optimizer remembers (that of Adam), curves.
  public func numbers(of run: String) throws -> [[Double]] {
    let store = CheckpointStore(self.file("checkpoints/\(run)"))
    guard let file = try store.newest(damaged: { _, _ in }) else {
      throw CheckpointError.noneFound(directory: store.directory)
    }
    let parameters = try Parameters(file.card.parameterLayout)
    try file.readParameters(into: parameters)
    var numbers = [parameters.buffer.values.map(Double.init), try file.readRowStates().map(Double.init)]
    for slot in ["firstMoment", "secondMoment"] {
      try file.readOptimizer(slot: slot, into: parameters.buffer, layout: parameters.layout)
      numbers.append(parameters.buffer.values.map(Double.init))
    }
    let curves = try file.readCurves()
    numbers.append(
      curves.training.flatMap { [Double($0.step), Double($0.tokens), $0["loss"], $0.gradientNorm, $0.learningRate] })
    numbers.append(curves.validation.flatMap { [Double($0.step), $0["loss"]] })
    return numbers
  }
}
