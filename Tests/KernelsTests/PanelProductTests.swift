import Testing

@testable import Kernels

@Suite struct PanelProductTests {
  private let random = CounterRandom(seed: 3, purpose: .benchmark)

  private func buffer(_ count: Int, _ stream: UInt32) throws -> FloatBuffer {
    try FloatBuffer((0..<count).map { Float(random.unit(UInt32($0), stream, 0) * 2 - 1) })
  }

  struct Shape: CustomTestStringConvertible {
    let rows: Int, depth: Int, columns: Int
    var testDescription: String { "[\(rows), \(depth)] x [\(depth), \(columns)]" }
  }

  /// One row and column, tiles of every height, panels of every width, several blocks of rows and of depth.
  static let shapes =
    [
      Shape(rows: 1, depth: 1, columns: 1), Shape(rows: 300, depth: 5, columns: 40),
      Shape(rows: 7, depth: 2100, columns: 35),
    ]
    + (1...13).map { Shape(rows: $0, depth: 9, columns: 4 * $0 - 3) }
    + [31, 32, 33, 47, 48, 49, 63, 64, 65].map { Shape(rows: 10, depth: 17, columns: $0) }

  @Test(arguments: shapes)
  func itIsTheProduct(_ shape: Shape) throws {
    let (m, k, n) = (shape.rows, shape.depth, shape.columns)
    let (aStride, cStride) = (k + 3, n + 5)
    let a = try buffer(m * aStride, 1)
    let b = try buffer(k * n, 2)
    let before = try buffer(m * cStride, 3)
    let transposed = try FloatBuffer((0..<k * n).map { b[$0 % k * n + $0 / k] })
    let product = try PanelProduct(depth: k, columns: n)
    defer { withExtendedLifetime((a, b, before, transposed)) {} }

    for instructions in Instructions.available {
      product.instructions = instructions
      for (isRightTransposed, adding) in [(false, false), (false, true), (true, true), (true, false)] {
        if isRightTransposed {
          product.pack(transposed.matrix(rows: n, columns: k).transposed)
        } else {
          product.pack(b.matrix(rows: k, columns: n))
        }
        let c = try FloatBuffer(before.count)
        c.copy(from: before)
        let result = StridedMatrix(pointer: c.pointer, rows: m, columns: n, stride: cStride)
        let left = StridedMatrix(pointer: a.pointer, rows: m, columns: k, stride: aStride)
        product.multiply(left, into: result, adding: adding)
        for row in 0..<m {
          for column in 0..<cStride {
            var expected = Double(before[row * cStride + column])
            if column < n {
              if !adding { expected = 0 }
              for step in 0..<k { expected += Double(a[row * aStride + step]) * Double(b[step * n + column]) }
            }
            #expect(abs(Double(c[row * cStride + column]) - expected) < 1e-6 * Double(k + 10))
          }
        }
      }
    }
  }

  @Test func numbersDoNotDependOnOtherRowsOrOnTheTurn() throws {
    let (rows, depth, columns) = (40, 1300, 100)
    let a = try buffer(rows * depth, 4)
    let product = try PanelProduct(depth: depth, columns: columns)
    let b = try buffer(depth * columns, 5)
    defer { withExtendedLifetime((a, b)) {} }
    product.pack(b.matrix(rows: depth, columns: columns))
    let together = try FloatBuffer(rows * columns)
    product.multiply(a.matrix(rows: rows, columns: depth), into: together.matrix(rows: rows, columns: columns))
    let apart = try FloatBuffer(rows * columns)
    for row in 0..<rows {
      product.multiply(
        a.matrix(rows: 1, columns: depth, at: row * depth),
        into: apart.matrix(rows: 1, columns: columns, at: row * columns))
    }
    #expect(Array(together.values) == Array(apart.values))
  }

  @Test func aSmallerMatrixFitsTheSameRoom() throws {
    let product = try PanelProduct(depth: 20, columns: 50)
    let (a, b) = (try FloatBuffer([10, 1]), try FloatBuffer([1, 2, 3, 4, 5, 6]))
    defer { withExtendedLifetime((a, b)) {} }
    product.pack(b.matrix(rows: 2, columns: 3))
    #expect(product.depth == 2 && product.columns == 3)
    let c = try FloatBuffer(3)
    product.multiply(a.matrix(rows: 1, columns: 2), into: c.matrix(rows: 1, columns: 3))
    #expect(Array(c.values) == [14, 25, 36])
  }
}
