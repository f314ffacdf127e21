import Foundation

/// Pieces of an SVG file.
enum SVG {
  /// A text as it stands between tags or in quotes. What XML has no place for becomes U+FFFD.
  static func escaped(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result.append(contentsOf: "&amp;".unicodeScalars)
      case "<": result.append(contentsOf: "&lt;".unicodeScalars)
      case ">": result.append(contentsOf: "&gt;".unicodeScalars)
      case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
      case "\t", "\n", "\r": result.append(" ")
      case "\u{0}"..<" ", "\u{FFFE}", "\u{FFFF}": result.append("\u{FFFD}")
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  /// Pixels, to a tenth.
  static func number(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    let rest = abs(tenths % 10)
    return "\(tenths < 0 && tenths / 10 == 0 ? "-" : "")\(tenths / 10)\(rest == 0 ? "" : ".\(rest)")"
  }

  /// `<name key="value" …>content</name>`; `content` is SVG.
  static func element(_ name: String, _ attributes: KeyValuePairs<String, String>, _ content: String? = nil) -> String {
    let head = "<" + name + attributes.map { " \($0)=\"\(escaped($1))\"" }.joined()
    return content.map { "\(head)>\($0)</\(name)>" } ?? "\(head)/>"
  }
}

/// How wide a text will be: which font draws it is not known here, so this is rather too much than too little.
enum TextWidth {
  /// Pixels of a text in letters of `size` pixels.
  static func of(_ text: String, size: Double) -> Double {
    text.unicodeScalars.reduce(0) { $0 + em($1) } * size
  }

  private static func em(_ scalar: Unicode.Scalar) -> Double {
    switch scalar {
    case "i", "j", "l", "I", ".", ",", ":", ";", "|", "'", "!": 0.34
    case "f", "r", "t", " ", "-", "(", ")", "/", "[", "]": 0.42
    case "m", "w", "M", "W", "@", "%": 0.98
    case "A"..."Z": 0.74
    case "\u{1100}"..."\u{115F}", "\u{2E80}"..."\u{A4CF}", "\u{AC00}"..."\u{D7A3}", "\u{F900}"..."\u{FAFF}",
      "\u{FE30}"..."\u{FE4F}", "\u{FF00}"..."\u{FF60}", "\u{FFE0}"..."\u{FFE6}", "\u{1F300}"..."\u{3FFFD}":
      1.05
    default: scalar.properties.generalCategory == .nonspacingMark ? 0 : 0.57
    }
  }

  /// The text, or its beginning and its end around an ellipsis, in at most so many pixels.
  static func cut(_ text: String, to width: Double, size: Double) -> String {
    guard of(text, size: size) > width else { return text }
    let characters = Array(text)
    // Where all letters were as narrow as they come, so many would fit.
    var kept = min(characters.count - 1, Int(width / (0.34 * size)))
    while kept > 0 {
      let head = (kept + 1) / 2
      let candidate = String(characters.prefix(head)) + "…" + String(characters.suffix(kept - head))
      if of(candidate, size: size) <= width { return candidate }
      kept -= 1
    }
    return "…"
  }
}
