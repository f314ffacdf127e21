/// Stretch `index` of the `count` contiguous ones that 0..<total is cut into; their sizes differ by at most
/// one, the longer ones first.
public func evenChunk(_ index: Int, of count: Int, in total: Int) -> Range<Int> {
  let (size, longer) = total.quotientAndRemainder(dividingBy: count)
  let start = index * size + min(index, longer)
  return start..<start + size + (index < longer ? 1 : 0)
}
