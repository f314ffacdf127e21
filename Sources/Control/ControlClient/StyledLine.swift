/// A line for a terminal: pieces of text, each with its tint.
public struct StyledLine: Equatable, Sendable {
  public enum Tint: Equatable, Sendable { case plain, strong, faint, training, validation, warning, error }

  private var pieces: [(text: String, tint: Tint)] = []

  public init(_ text: String = "", _ tint: Tint = .plain) { add(text, tint) }

  public mutating func add(_ text: String, _ tint: Tint = .plain) {
    if !text.isEmpty { pieces.append((Readable.line(text), tint)) }
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.pieces.elementsEqual(b.pieces) { $0.text == $1.text && $0.tint == $1.tint }
  }

  public var text: String { pieces.map(\.text).joined() }

  /// At most `width` characters, with the terminal's codes for tints if it is `coloured`.
  public func rendered(width: Int, coloured: Bool) -> String {
    var left = width
    var result = ""
    for (text, tint) in pieces where left > 0 {
      let shown = text.prefix(left)
      left -= shown.count
      if let code = tint.code, coloured {
        result += "\u{1B}[\(code)m\(shown)\u{1B}[0m"
      } else {
        result += shown
      }
    }
    return result
  }
}

extension StyledLine.Tint {
  /// SGR of ECMA-48; colours that are read on dark and on light.
  fileprivate var code: String? {
    switch self {
    case .plain: nil
    case .strong: "1"
    case .faint: "2"
    case .training: "36"
    case .validation: "33"
    case .warning: "33"
    case .error: "31"
    }
  }
}
