/// What a noun of the sample language may be; its adjectives and verbs follow from it.
enum Kind: CaseIterable {
  case person, animal, plant, dish

  /// People and animals do things to others; the rest only have things done to them.
  static let agents: [Kind] = [.person, .animal]
}

enum Number: CaseIterable { case singular, plural }

enum Tense: CaseIterable { case present, past }

/// The form of a verb. The bare one serves the plural present and questions.
enum Form {
  case bare, third, past

  init(_ number: Number, _ tense: Tense) {
    switch (tense, number) {
    case (.past, _): self = .past
    case (.present, .singular): self = .third
    case (.present, .plural): self = .bare
    }
  }
}

struct Verb {
  private let bare: String
  private let third: String
  private let past: String

  init(_ bare: String, _ third: String, _ past: String) {
    self.bare = bare
    self.third = third
    self.past = past
  }

  subscript(form: Form) -> String {
    switch form {
    case .bare: bare
    case .third: third
    case .past: past
    }
  }
}

/// The words that go with one kind. In every list the earlier words are the more frequent.
struct Lexicon {
  let singular: [String]
  let plural: [String]
  let adjectives: [String]
  /// What such a thing does.
  let actions: [Verb]
  /// What is done to it.
  let treatments: [Verb]

  func nouns(_ number: Number) -> [String] { number == .singular ? singular : plural }
}

extension Kind {
  var lexicon: Lexicon { Kind.lexicons[self]! }

  private static let lexicons: [Kind: Lexicon] = [
    .person: Lexicon(
      singular: [
        "teacher", "child", "doctor", "sailor", "farmer", "baker", "painter", "king", "singer", "clerk",
      ],
      plural: [
        "teachers", "children", "doctors", "sailors", "farmers", "bakers", "painters", "kings", "singers",
        "clerks",
      ],
      adjectives: ["clever", "kind", "patient", "famous", "lonely", "brave", "merry", "shy"],
      actions: [
        Verb("laugh", "laughs", "laughed"), Verb("sing", "sings", "sang"), Verb("dance", "dances", "danced"),
        Verb("weep", "weeps", "wept"),
      ],
      treatments: [
        Verb("know", "knows", "knew"), Verb("meet", "meets", "met"), Verb("thank", "thanks", "thanked"),
        Verb("praise", "praises", "praised"), Verb("follow", "follows", "followed"),
      ]),
    .animal: Lexicon(
      singular: ["cat", "dog", "horse", "bird", "mouse", "goat", "fox", "rabbit", "pig", "donkey"],
      plural: ["cats", "dogs", "horses", "birds", "mice", "goats", "foxes", "rabbits", "pigs", "donkeys"],
      adjectives: ["hungry", "wild", "furry", "tame", "sleepy", "playful", "noisy", "swift"],
      actions: [
        Verb("sleep", "sleeps", "slept"), Verb("run", "runs", "ran"), Verb("hide", "hides", "hid"),
        Verb("jump", "jumps", "jumped"),
      ],
      treatments: [
        Verb("feed", "feeds", "fed"), Verb("chase", "chases", "chased"), Verb("catch", "catches", "caught"),
        Verb("brush", "brushes", "brushed"), Verb("pat", "pats", "patted"),
      ]),
    .plant: Lexicon(
      singular: ["tree", "rose", "vine", "bush", "tulip", "palm", "fern", "lily", "daisy", "hedge"],
      plural: [
        "trees", "roses", "vines", "bushes", "tulips", "palms", "ferns", "lilies", "daisies", "hedges",
      ],
      adjectives: ["green", "tall", "thorny", "leafy", "fragrant", "withered", "pretty", "young"],
      actions: [
        Verb("grow", "grows", "grew"), Verb("bloom", "blooms", "bloomed"), Verb("sway", "sways", "swayed"),
        Verb("droop", "droops", "drooped"),
      ],
      treatments: [
        Verb("water", "waters", "watered"), Verb("plant", "plants", "planted"),
        Verb("prune", "prunes", "pruned"), Verb("pick", "picks", "picked"), Verb("trim", "trims", "trimmed"),
      ]),
    .dish: Lexicon(
      singular: ["cake", "pie", "soup", "loaf", "salad", "pudding", "stew", "pancake", "cookie", "roast"],
      plural: [
        "cakes", "pies", "soups", "loaves", "salads", "puddings", "stews", "pancakes", "cookies", "roasts",
      ],
      adjectives: ["sweet", "warm", "salty", "tasty", "spicy", "burnt", "creamy", "fresh"],
      actions: [
        Verb("cool", "cools", "cooled"), Verb("steam", "steams", "steamed"),
        Verb("spoil", "spoils", "spoiled"),
        Verb("vanish", "vanishes", "vanished"),
      ],
      treatments: [
        Verb("eat", "eats", "ate"), Verb("taste", "tastes", "tasted"), Verb("serve", "serves", "served"),
        Verb("share", "shares", "shared"), Verb("bake", "bakes", "baked"),
      ]),
  ]
}
