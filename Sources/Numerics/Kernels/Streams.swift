import CKernels

/// `parameters -= rate (scale gradients + decay parameters)`, of `count` numbers each.
public func sgdUpdate(
  _ parameters: UnsafeMutablePointer<Float>, _ gradients: UnsafePointer<Float>, count: Int, scale: Float, decay: Float,
  rate: Float
) {
  lockstep_sgd_update(Instructions.best, count, parameters, gradients, scale, decay, rate)
}

/// Sums a range of several buffers, number by number in their order, into the first of them, or into all `everywhere`.
public func sumParts(_ parts: [UnsafeMutablePointer<Float>], _ range: Range<Int>, everywhere: Bool) {
  lockstep_sum_parts(
    Instructions.best, parts.count, parts, range.lowerBound, range.upperBound, everywhere ? parts.count : 1)
}
