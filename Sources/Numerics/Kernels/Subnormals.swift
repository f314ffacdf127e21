import Glibc

/// Lets numbers too small for a normal Float (below 1.2e-38) count as zero, on this thread and those it starts from now
/// on: the flags FTZ and DAZ of MXCSR, or FZ of FPCR.
///
/// A processor takes a hundred times as long for them, and a model that has learned well makes many: probabilities of what
/// it knows to be impossible, and their gradients. Training was seen to fall to 40 % of its speed over 50,000 steps.
public func flushSubnormals() {
  var environment = fenv_t()
  fegetenv(&environment)
  #if arch(x86_64)
    environment.__mxcsr |= 1 << 15 | 1 << 6
  #elseif arch(arm64)
    environment.__fpcr |= 1 << 24
  #endif
  fesetenv(&environment)
}
