import CKernels

/// The set of instructions our own loops run with: the one oneDNN has chosen, so that `ONEDNN_MAX_CPU_ISA` limits both.
enum Instructions {
  static let best: lockstep_instructions = {
    let name = OneDNN.instructionSet
    if name.contains("512") { return lockstep_avx512 }
    return name.hasPrefix("avx2") ? lockstep_avx2 : lockstep_any_processor
  }()

  /// All that there are here.
  static var available: [lockstep_instructions] {
    [lockstep_any_processor, lockstep_avx2, lockstep_avx512].filter { $0.rawValue <= best.rawValue }
  }
}
