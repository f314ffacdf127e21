/// What a network consists of: its parts, and all that they have registered. No memory is taken for it yet.
public struct NetworkPlan: Sendable {
  public let layout: ParameterLayout
  public let states: [StateSpec]
  let input: any InputPart
  let parts: [any Part]
  let head: SoftmaxPart

  /// Of the kind that the configuration names (`NetworkKind`).
  public init(_ model: ModelConfiguration, vocabularySize: Int) {
    var builder = NetworkBuilder(model.initialization)
    (input, parts, head) = model.kind.architecture.parts(of: model, vocabularySize: vocabularySize, &builder)
    layout = builder.layout
    states = builder.states
  }

  /// What a row carries, which no vocabulary changes.
  static func states(of model: ModelConfiguration) -> [StateSpec] { NetworkPlan(model, vocabularySize: 1).states }

  /// Floats that a row of the batch carries from window to window.
  public static func stateFloats(of model: ModelConfiguration) -> Int { RowStates.floatsPerLane(states(of: model)) }

  /// Floats that a network of this shape takes besides its parameters: the sum of what its parts report.
  public func floats(_ shape: NetworkShape) -> Double {
    let own = parts.reduce(input.floats(shape) + head.floats(shape)) { $0 + $1.floats(shape) }
    guard shape.purpose == .training else { return own }
    return own + 2 * Double(shape.steps) * Double(shape.lanes) * Double(widest)
  }

  /// Floats of a gradient between two parts.
  var widest: Int { parts.reduce(input.outputSize) { max($0, $1.outputSize) } }
}

/// A kind of network: which parts it has, and which keys of the configuration are its own.
protocol Architecture {
  /// In the order of the forward pass.
  static func parts(
    of model: ModelConfiguration, vocabularySize: Int, _ builder: inout NetworkBuilder
  ) -> (any InputPart, [any Part], SoftmaxPart)

  /// Keys of `model` that mean nothing to the others.
  static var keys: [String] { get }

  /// Size of what the output layer reads.
  static func outputSize(of model: ModelConfiguration) -> Int
}

/// The kinds of networks there are. A new one is a file in Kinds and a line here.
public enum NetworkKind: String, Codable, CaseIterable, Sendable {
  case recurrent
  case window

  var architecture: any Architecture.Type {
    switch self {
    case .recurrent: RecurrentNetwork.self
    case .window: WindowNetwork.self
    }
  }

  /// Keys of `model` that mean nothing to the others.
  public var keys: [String] { architecture.keys }
}
