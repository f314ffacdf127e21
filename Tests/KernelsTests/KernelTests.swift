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

  @Test func softmaxIsRight() throws {
    let logits = try buffer(77, 4, range: 30)
    let scores = logits.values.map { exp(Double($0)) }
    let total = scores.reduce(0, +)
    try Softmax(columns: 77).probabilities(logits.matrix(rows: 1, columns: 77))
    for (index, score) in scores.enumerated() { #expect(abs(Double(logits[index]) - score / total) < 1e-6) }
  }

  @Test func memoryThatCannotBeHadIsAnError() {
    #expect(throws: KernelError.self) { try FloatBuffer(1 << 55) }
  }

  @Test(arguments: [1, 2, 5])
  func workIsDealtOutOnce(count: Int) {
    let calls = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
    calls.initialize(repeating: 0)
    defer { calls.deallocate() }
    nonisolated(unsafe) let shared = calls
    OneDNN.concurrently(count) { shared[$0] += 1 }
    #expect(calls.allSatisfy { $0 == 1 })
  }

  @Test func theLibraryIsKnown() {
    #expect(OneDNN.version.split(separator: ".").count == 3)
    #expect(!OneDNN.instructionSet.isEmpty)
    #expect(OneDNN.threads >= 1)
  }
}
