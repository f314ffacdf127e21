import Foundation
import Kernels
import Testing

@Suite struct KernelTests {
  private let random = CounterRandom(seed: 3, purpose: .benchmark)

  private func buffer(_ count: Int, _ stream: UInt32, range: Float = 1) throws -> FloatBuffer {
    try FloatBuffer((0..<count).map { Float(random.unit(UInt32($0), stream, 0) * 2 - 1) * range })
  }

  @Test(arguments: [(1, 1, 1), (3, 5, 7), (64, 65, 33), (10, 512, 128)])
  func productsAreRight(m: Int, k: Int, n: Int) throws {
    let a = try buffer(m * k, 1)
    let b = try buffer(k * n, 2)
    let first = try buffer(m * n, 3)
    var expected = first.values.map(Double.init)
    for row in 0..<m {
      for column in 0..<n {
        for inner in 0..<k { expected[row * n + column] += Double(a[row * k + inner]) * Double(b[inner * n + column]) }
      }
    }
    func transpose(_ matrix: FloatBuffer, _ rows: Int, _ columns: Int) throws -> FloatBuffer {
      try FloatBuffer((0..<matrix.count).map { matrix[$0 % rows * columns + $0 / rows] })
    }
    let aTransposed = try transpose(a, m, k)
    let bTransposed = try transpose(b, k, n)
    func check(_ product: (MatrixView) throws -> Void) throws {
      let c = try FloatBuffer(m * n)
      c.copy(from: first)
      try product(c.matrix(rows: m, columns: n))
      for index in 0..<c.count { #expect(abs(Double(c[index]) - expected[index]) < 1e-4) }
    }
    try check { try multiply(a.matrix(rows: m, columns: k), b.matrix(rows: k, columns: n), into: $0, adding: true) }
    try check {
      try multiply(
        aTransposed.matrix(rows: k, columns: m).transposed, b.matrix(rows: k, columns: n), into: $0, adding: true)
    }
    try check {
      try multiply(
        a.matrix(rows: m, columns: k), bTransposed.matrix(rows: n, columns: k).transposed, into: $0, adding: true)
    }
  }

  @Test(arguments: [0.1, 10, 80])
  func softmaxLossIsRight(range: Float) throws {
    let (rows, columns, lanes) = (6, 11, 3)
    let logits = try buffer(rows * columns, 4, range: range)
    let original = logits.values.map(Double.init)
    let targets: [Int32] = [0, 10, 3, 4, 5, 2]
    var losses = [Double](repeating: 1, count: lanes)
    let loss = SoftmaxLoss(columns: columns)
    try targets.withUnsafeBufferPointer { targets in
      try losses.withUnsafeMutableBufferPointer {
        try loss.learn(logits.matrix(rows: rows, columns: columns), firstRow: 0, targets: targets, losses: $0) {
          Float(original[$0 * columns + $1])
        }
      }
    }
    var expected = [Double](repeating: 1, count: lanes)
    for row in 0..<rows {
      let scores = Array(original[row * columns..<(row + 1) * columns])
      let largest = scores.max() ?? 0
      let total = scores.reduce(0) { $0 + exp($1 - largest) }
      expected[row % lanes] += log(total) + largest - scores[Int(targets[row])]
      for column in 0..<columns {
        let gradient = exp(scores[column] - largest) / total - (column == Int(targets[row]) ? 1 : 0)
        #expect(abs(Double(logits[row * columns + column]) - gradient) < 1e-5)
      }
    }
    for lane in 0..<lanes { #expect(abs(losses[lane] - expected[lane]) < 1e-5 * max(1, expected[lane])) }
  }

  @Test func softmaxLossPassesOverWhatHasNoTarget() throws {
    let logits = try FloatBuffer([1, 2, 3, 4])
    var losses = [0.0]
    let targets: [Int32] = [-1, -1]
    try targets.withUnsafeBufferPointer { targets in
      try losses.withUnsafeMutableBufferPointer {
        try SoftmaxLoss(columns: 2).evaluate(
          logits.matrix(rows: 2, columns: 2), firstRow: 0, targets: targets, losses: $0)
      }
    }
    #expect(losses == [0])
  }

  @Test func memoryThatCannotBeHadIsAnError() {
    #expect(throws: KernelError.self) { try FloatBuffer(1 << 55) }
  }

  @Test func theLibraryIsKnown() {
    #expect(OneDNN.version.split(separator: ".").count == 3)
    #expect(!OneDNN.instructionSet.isEmpty)
    #expect(OneDNN.threads >= 1)
  }
}
