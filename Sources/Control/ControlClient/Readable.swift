import Foundation
import Glibc

/// Values as people read them.
public enum Readable {
  /// Seconds: "4.2s", "1m05s", "2h10m", "3d04h".
  public static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, abs(seconds) < 1e9 else { return "?" }
    if seconds < 10 { return String(format: "%.1fs", max(0, seconds)) }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole)s" }
    if whole < 3600 { return String(format: "%dm%02ds", whole / 60, whole % 60) }
    if whole < 86400 { return String(format: "%dh%02dm", whole / 3600, whole % 3600 / 60) }
    return String(format: "%dd%02dh", whole / 86400, whole % 86400 / 3600)
  }

  /// A perplexity or a loss: four or five significant digits for what is usual, fewer for what is huge.
  public static func number(_ value: Double?) -> String {
    guard let value else { return "-" }
    if !value.isFinite || abs(value) >= 100_000 { return String(format: "%.3g", value) }
    return String(format: abs(value) < 10 ? "%.4f" : abs(value) < 1000 ? "%.2f" : "%.0f", value)
  }

  /// A rate or a norm.
  public static func short(_ value: Double) -> String { String(format: "%.3g", value) }

  /// How many a second.
  public static func throughput(_ value: Double) -> String {
    value >= 10_000 ? String(format: "%.1fk", value / 1000) : String(format: "%.0f", value)
  }

  /// Seconds since 1970, here: "2026-03-01 14:05:09".
  public static func date(_ time: Double) -> String { local(time, "%Y-%m-%d %H:%M:%S") }

  /// Likewise: "14:05:09".
  public static func clock(_ time: Double) -> String { local(time, "%H:%M:%S") }

  private static func local(_ time: Double, _ format: String) -> String {
    guard time.isFinite, abs(time) < 1e11 else { return "?" }
    var seconds = time_t(time)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      strftime(buffer.baseAddress!, buffer.count, format, &parts) > 0 ? String(cString: buffer.baseAddress!) : "?"
    }
  }

  /// A text of others in one line, without what a terminal would obey.
  public static func line(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          switch scalar.properties.generalCategory {
          case .control, .format, .lineSeparator, .paragraphSeparator: " "
          default: scalar
          }
        }))
  }

  /// Columns, as wide as their widest entry; the first row is their names.
  public static func table(_ rows: [[String]]) -> [String] {
    let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      let line = cells.joined(separator: "  ")
      return line.lastIndex { $0 != " " }.map { String(line[...$0]) } ?? ""
    }
  }
}
