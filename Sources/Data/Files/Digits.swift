extension BinaryInteger {
  /// Its digits, with zeros before them up to so many: names of files then sort as their numbers do.
  public func digits(_ count: Int, radix: Int = 10, uppercase: Bool = false) -> String {
    let text = String(self, radix: radix, uppercase: uppercase)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }
}

extension Collection where Element == UInt8 {
  /// Two lower-case hexadecimal digits for each byte.
  public var hexadecimal: String { map { $0.digits(2, radix: 16) }.joined() }
}
