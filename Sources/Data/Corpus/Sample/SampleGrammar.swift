/// The grammar of the sample text: a small English in which it pays to remember.
///
///     usually , the cats , which a clever teacher in the garden feeds , are very hungry .
///     the farmer said : “ ‘ do the trees , which many sailors water , bloom ? ’ asked every child . ”
///
/// The first noun decides words that come much later: number and kind of "cats" return in "feeds" (one feeds
/// animals but serves dishes), in "are", and in "hungry". The word of time decides every tense, the first
/// word of a question its verb and its "?", an opening quote the quote that closes it, and words before a
/// quote whether anything follows it.
///
/// It is a probabilistic context-free grammar: for each symbol, what it may become, and how likely. No line
/// has two derivations, so the probability of a line is the product over its choices.
enum SampleGrammar {
  /// How deep quotes and relative clauses may nest.
  static let maximumDepth = 3

  enum Symbol: Hashable {
    case word(String)
    /// A sentence inside `depth` pairs of quotes; a line is one inside none.
    case sentence(depth: Int)
    case statement
    case question
    case speech(depth: Int)
    case quote(depth: Int, asks: Bool)
    /// What is between two quotes: sentences, the last of which asks or does not.
    case talk(depth: Int, asks: Bool)
    /// A noun phrase with what is said of it in passing, inside `depth` relative clauses.
    case subject(Kind, Number, Tense, depth: Int)
    case relativeClause(Kind, Number, Tense, depth: Int)
    /// A noun phrase with nothing said of it.
    case things(Kind, Number)
    case object(Kind)
    case predicate(Kind, Number, Tense)
    case doing(Kind, Form)
    case being(Kind)
    case time(Tense)
    case place
    // One word of a list each.
    case determiner(Number)
    case location
    case adjective(Kind)
    case noun(Kind, Number)
    case action(Kind, Form)
    case treatment(of: Kind, Form)
  }

  /// What a symbol may become, and a weight: probabilities are weights divided by their sum.
  struct Choice {
    let weight: Double
    let symbols: [Symbol]
  }

  static let start = Symbol.sentence(depth: 0)

  /// All that a symbol may become; nothing for a word.
  static func choices(_ symbol: Symbol) -> [Choice] {
    switch symbol {
    case .word: []

    // Sentences.

    case .sentence(let depth):
      [10 * [.statement], 4 * [.question], shrinking(6, depth) * [.speech(depth: depth)]]

    case .statement:
      forEachSubject { kind, number, tense in
        [1 * [.time(tense), .subject(kind, number, tense, depth: 0), .predicate(kind, number, tense), "."]]
      }

    case .question:
      forEachSubject { kind, number, tense in
        let subject = Symbol.subject(kind, number, tense, depth: 0)
        return [
          6 * [auxiliary(number, tense), subject, .doing(kind, .bare), "?"],
          4 * [copula(number, tense), subject, .being(kind), "?"],
        ]
      }

    case .speech(let depth):
      [
        7 * [.object(.person), "said", ":", .quote(depth: depth, asks: false)],
        7 * [.quote(depth: depth, asks: false), "said", .object(.person), "."],
        3 * [.object(.person), "asked", ":", .quote(depth: depth, asks: true)],
        3 * [.quote(depth: depth, asks: true), "asked", .object(.person), "."],
      ]

    case .quote(let depth, let asks):
      depth.isMultiple(of: 2)
        ? [1 * ["“", .talk(depth: depth + 1, asks: asks), "”"]]
        : [1 * ["‘", .talk(depth: depth + 1, asks: asks), "’"]]

    case .talk(let depth, let asks):
      (asks
        ? [10 * [.question]]
        : [10 * [.statement], shrinking(6, depth) * [.speech(depth: depth)]])
        + [4 * [.sentence(depth: depth), .talk(depth: depth, asks: asks)]]

    // Nouns, and what hangs on them.

    case .subject(let kind, let number, let tense, let depth):
      [
        5 * [.things(kind, number)],
        4 * [.things(kind, number), .place],
        shrinking(5, depth)
          * [.things(kind, number), ",", .relativeClause(kind, number, tense, depth: depth), ","],
      ]

    case .relativeClause(let kind, let number, let tense, let depth):
      // "which are hungry", "who feeds the cats", "which the teacher feeds"
      [2 * [who(kind), copula(number, tense), .being(kind)]]
        + treatments(by: kind, Form(number, tense)).map { 2 * ([who(kind)] + $0) }
        + Kind.agents.flatMap { agent in
          Number.allCases.map { many in
            2 * [
              whom(kind), .subject(agent, many, tense, depth: depth + 1),
              .treatment(of: kind, Form(many, tense)),
            ]
          }
        }

    case .things(let kind, let number):
      [
        6 * [.determiner(number), .noun(kind, number)],
        4 * [.determiner(number), .adjective(kind), .noun(kind, number)],
      ]

    case .object(let kind):
      [6 * [.things(kind, .singular)], 4 * [.things(kind, .plural)]]

    // What is said of them.

    case .predicate(let kind, let number, let tense):
      [4 * [copula(number, tense), .being(kind)], 6 * [.doing(kind, Form(number, tense))]]

    case .doing(let kind, let form):
      [8 * [.action(kind, form)], 4 * [.action(kind, form), .place]]
        + treatments(by: kind, form).map { 2 * $0 }

    case .being(let kind):
      [4 * [.adjective(kind)], 3 * ["very", .adjective(kind)], 3 * ["rather", .adjective(kind)]]

    // Words.

    case .time(.past): [6 * [], 2 * ["yesterday", ","], 1 * ["once", ","]]
    case .time(.present): [6 * [], 2 * ["today", ","], 1 * ["usually", ","]]

    case .place:
      ["in", "near", "behind"].map { preposition in
        1 * [preposition, .determiner(.singular), .location]
      }

    case .determiner(.singular): [4 * ["the"], 3 * ["a"], 2 * ["this"], 2 * ["that"], 2 * ["every"]]
    case .determiner(.plural): [4 * ["the"], 3 * ["some"], 2 * ["these"], 2 * ["those"], 2 * ["many"]]
    case .location: ranked(["garden", "house", "market", "barn", "valley", "school"])
    case .adjective(let kind): ranked(kind.lexicon.adjectives)
    case .noun(let kind, let number): ranked(kind.lexicon.nouns(number))
    case .action(let kind, let form): ranked(kind.lexicon.actions.map { $0[form] })
    case .treatment(let kind, let form): ranked(kind.lexicon.treatments.map { $0[form] })
    }
  }

  // MARK: Families of choices

  /// The choices of a sentence, for each subject it may have.
  private static func forEachSubject(_ choices: (Kind, Number, Tense) -> [Choice]) -> [Choice] {
    Tense.allCases.flatMap { tense in
      Number.allCases.flatMap { number in
        Kind.allCases.flatMap { kind in
          let weight: Double = (Kind.agents.contains(kind) ? 3 : 2) * (tense == .present ? 2 : 1)
          return choices(kind, number, tense).map { weight * $0.weight * $0.symbols }
        }
      }
    }
  }

  /// What a kind of thing may do to others, in one form of the verb.
  private static func treatments(by kind: Kind, _ form: Form) -> [[Symbol]] {
    guard Kind.agents.contains(kind) else { return [] }
    return Kind.allCases.map { [.treatment(of: $0, form), .object($0)] }
  }

  /// Single words, the earlier the more frequent.
  private static func ranked(_ words: [String]) -> [Choice] {
    words.enumerated().map { rank, word in 1 / Double(rank + 8) * [.word(word)] }
  }

  /// A weight for what nests: a third of it with each level, none at the last.
  private static func shrinking(_ weight: Double, _ depth: Int) -> Double {
    depth < maximumDepth ? (0..<depth).reduce(weight) { weight, _ in weight / 3 } : 0
  }

  // MARK: Words that follow from what is around them

  private static func copula(_ number: Number, _ tense: Tense) -> Symbol {
    switch (tense, number) {
    case (.present, .singular): "is"
    case (.present, .plural): "are"
    case (.past, .singular): "was"
    case (.past, .plural): "were"
    }
  }

  private static func auxiliary(_ number: Number, _ tense: Tense) -> Symbol {
    switch Form(number, tense) {
    case .bare: "do"
    case .third: "does"
    case .past: "did"
    }
  }

  private static func who(_ kind: Kind) -> Symbol { kind == .person ? "who" : "which" }

  private static func whom(_ kind: Kind) -> Symbol { kind == .person ? "whom" : "which" }
}

extension SampleGrammar.Symbol: ExpressibleByStringLiteral {
  init(stringLiteral word: String) { self = .word(word) }
}

/// `3 * [a, b]`: becoming a, b with weight 3.
private func * (weight: Double, symbols: [SampleGrammar.Symbol]) -> SampleGrammar.Choice {
  SampleGrammar.Choice(weight: weight, symbols: symbols)
}
