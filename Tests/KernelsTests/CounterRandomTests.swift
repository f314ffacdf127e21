@testable import Kernels
import Testing

@Suite struct CounterRandomTests {
  /// Known answers of the Random123 distribution (`kat_vectors`, philox4x32 10).
  @Test func philoxGivesThePublishedNumbers() {
    #expect(
      CounterRandom.philox(counter: .zero, key: .zero)
        == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    let ones = UInt32.max
    #expect(
      CounterRandom.philox(counter: SIMD4(repeating: ones), key: SIMD2(repeating: ones))
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      CounterRandom.philox(
        counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
        key: SIMD2(0xa409_3822, 0x299f_31d0))
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func numbersAreUniform() {
    let random = CounterRandom(seed: 7, purpose: .benchmark)
    var sum = SIMD4<Double>.zero
    var squares = SIMD4<Double>.zero
    let count = 20_000
    for index in 0..<count {
      let drawn = random.uniform(UInt32(index), 1, 2)
      for lane in 0..<4 {
        #expect(drawn[lane] >= 0 && drawn[lane] < 1)
        sum[lane] += Double(drawn[lane])
        squares[lane] += Double(drawn[lane]) * Double(drawn[lane])
      }
    }
    for lane in 0..<4 {
      #expect(abs(sum[lane] / Double(count) - 0.5) < 0.01)
      #expect(abs(squares[lane] / Double(count) - 1.0 / 3) < 0.01)
    }
  }

  @Test func seedPurposeAndCounterAllMatter() {
    let random = CounterRandom(seed: 1, purpose: .dropout)
    let block = random.block(1, 2, 3)
    #expect(block == CounterRandom(seed: 1, purpose: .dropout).block(1, 2, 3))
    #expect(block != CounterRandom(seed: 2, purpose: .dropout).block(1, 2, 3))
    #expect(block != CounterRandom(seed: 1 << 32 | 1, purpose: .dropout).block(1, 2, 3))
    #expect(block != CounterRandom(seed: 1, purpose: .sampling).block(1, 2, 3))
    #expect(block != random.block(0, 2, 3) && block != random.block(1, 0, 3) && block != random.block(1, 2, 0))
  }
}
