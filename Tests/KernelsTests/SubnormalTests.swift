import Foundation
import Kernels
import Synchronization
import Testing

@Suite struct SubnormalTests {
  /// On a thread of its own, since other tests share those of the library.
  private func onThread(_ body: @escaping @Sendable () -> Float) -> Float {
    let result = Mutex<Float?>(nil)
    let done = DispatchSemaphore(value: 0)
    Thread {
      let value = body()
      result.withLock { $0 = value }
      done.signal()
    }.start()
    done.wait()
    return result.withLock { $0 } ?? .nan
  }

  /// A tenth of the least normal number, of a value the compiler does not know.
  @inline(never) private static func tenth(of values: [Float]) -> Float { values.reduce(0, +) * 0.1 }

  @Test func numbersTooSmallBecomeZero() {
    let least = [Float.leastNormalMagnitude]
    #expect(onThread { Self.tenth(of: least) } > 0)
    #expect(
      onThread {
        flushSubnormals()
        return Self.tenth(of: least)
      } == 0)
    // What is small already is taken for zero.
    #expect(
      onThread {
        flushSubnormals()
        return Self.tenth(of: [Float.leastNonzeroMagnitude * 1000]) * 1e30
      } == 0)
    #expect(
      onThread {
        flushSubnormals()
        return Self.tenth(of: [1])
      } == 0.1)
  }

  @Test func threadsItStartsDoAsIt() {
    let least = [Float.leastNormalMagnitude]
    let value = onThread {
      flushSubnormals()
      let result = Mutex<Float>(1)
      let done = DispatchSemaphore(value: 0)
      Thread {
        let value = Self.tenth(of: least)
        result.withLock { $0 = value }
        done.signal()
      }.start()
      done.wait()
      return result.withLock { $0 }
    }
    #expect(value == 0)
  }
}
