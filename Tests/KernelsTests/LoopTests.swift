import CKernels
import Testing

@testable import Kernels

/// Loops that no class of ours stands around.
@Suite struct LoopTests {
  private func numbers(_ count: Int, _ stream: UInt32) -> [Float] {
    let random = CounterRandom(seed: 5, purpose: .benchmark)
    return (0..<count).map { Float(random.unit(UInt32($0), stream, 0) * 2 - 1) }
  }

  @Test(arguments: [0, 1, 15, 16, 17, 1000])
  func parametersDescend(count: Int) {
    let (before, gradients) = (numbers(count + 1, 1), numbers(count, 2))
    for instructions in Instructions.available {
      var parameters = before
      lockstep_sgd_update(instructions, count, &parameters, gradients, 0.5, 0.25, 2)
      for i in 0..<count {
        let expected = Double(before[i]) - 2 * (0.5 * Double(gradients[i]) + 0.25 * Double(before[i]))
        #expect(abs(Double(parameters[i]) - expected) < 1e-6)
      }
      #expect(parameters[count] == before[count])
    }
  }

  @Test(arguments: [1, 2, 3, 5], [0..<0, 3..<4, 0..<16, 5..<37, 16..<1000])
  func partsAreSummedInTheirOrder(parts: Int, range: Range<Int>) {
    let before = (0..<parts).map { numbers(1001, UInt32($0)) }
    let sums = (0..<1001).map { i in before.dropFirst().reduce(before[0][i]) { $0 + $1[i] } }
    for instructions in Instructions.available {
      for everywhere in [false, true] {
        let buffers = before.map { numbers in
          let buffer = UnsafeMutablePointer<Float>.allocate(capacity: numbers.count)
          buffer.initialize(from: numbers, count: numbers.count)
          return buffer
        }
        defer { buffers.forEach { $0.deallocate() } }
        lockstep_sum_parts(
          instructions, parts, buffers, range.lowerBound, range.upperBound, everywhere ? parts : 1)
        for (part, buffer) in buffers.enumerated() {
          let isSummed = part == 0 || everywhere
          #expect(
            (0..<1001).allSatisfy { buffer[$0] == (isSummed && range.contains($0) ? sums[$0] : before[part][$0]) })
        }
      }
    }
  }

  @Test(arguments: [1, 15, 16, 33, 48], [1, 7, 16, 40])
  func aMatrixIsTransposed(rows: Int, columns: Int) {
    let (fromRow, toRow) = (columns + 3, rows + 2)
    let from = numbers(rows * fromRow, 1)
    for instructions in Instructions.available {
      var to = [Float](repeating: 9, count: columns * toRow)
      lockstep_transpose(instructions, rows, columns, from, fromRow, &to, toRow)
      for column in 0..<columns {
        for row in 0..<toRow {
          #expect(to[column * toRow + row] == (row < rows ? from[row * fromRow + column] : 9))
        }
      }
    }
  }
}
