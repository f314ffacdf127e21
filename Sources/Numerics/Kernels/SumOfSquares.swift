/// Sum of the squares of some floats: in 32 bits over 64 numbers in eight lanes, then in double precision.
public func sumOfSquares(_ values: UnsafePointer<Float>, count: Int) -> Double {
  var total = 0.0
  var index = 0
  while index + 64 <= count {
    var sums = SIMD8<Float>.zero
    let block = UnsafeRawPointer(values + index)
    for part in 0..<8 {
      let values = block.loadUnaligned(fromByteOffset: part * 32, as: SIMD8<Float>.self)
      sums += values * values
    }
    total += Double(sums.sum())
    index += 64
  }
  while index < count {
    total += Double(values[index]) * Double(values[index])
    index += 1
  }
  return total
}
