import Events

/// Allow-lists of models and scopes, each stored once however many accounts have the same.
///
/// List 0 is "no list: inherit". For models a bit a list and model answers the hot question; scopes
/// are few and short, so they are compared as texts.
struct PatternLists: ~Copyable {
    private struct List {
        var first: Int
        var count: Int
    }
    private var lists: [List] = [List(first: 0, count: 0)]
    private var patterns: [NameRef] = []
    /// One row of `stride` words a list, a bit a model.
    private var allowed: [UInt64] = [0]
    private var stride = 1
    private var modelCount = 0
    private var byText: [String: UInt32] = [:]  // unordered: never iterated

    static let inherit: UInt32 = 0
    var count: Int { lists.count }

    /// The number of a list with these entries.
    mutating func intern(
        _ entries: [String], names: inout NameArena, prices: borrowing PriceBook
    ) -> UInt32 {
        let text = entries.joined(separator: "\n") + "\n\(entries.count)"
        if let known = byText[text] { return known }
        let number = UInt32(lists.count)
        lists.append(List(first: patterns.count, count: entries.count))
        for entry in entries { patterns.append(names.add(entry)) }
        byText[text] = number
        allowed.append(contentsOf: repeatElement(0, count: stride))
        for model in 0..<modelCount {
            mark(number, model, names[prices.models.pointer(model).pointee.name], names)
        }
        return number
    }
    /// Tells every list of a new model.
    mutating func addModel(_ name: Bytes, names: borrowing NameArena) {
        let model = modelCount
        modelCount += 1
        if model >= stride * 64 { widen() }
        for list in 1..<max(lists.count, 1) { mark(UInt32(list), model, name, names) }
    }
    private mutating func mark(
        _ list: UInt32, _ model: Int, _ name: Bytes, _ names: borrowing NameArena
    ) {
        guard matches(list, name, names) else { return }
        allowed[Int(list) * stride + model >> 6] |= 1 << UInt64(model & 63)
    }
    private mutating func widen() {
        let wider = stride * 2
        var next = [UInt64](repeating: 0, count: lists.count * wider)
        for list in 0..<lists.count {
            for word in 0..<stride { next[list * wider + word] = allowed[list * stride + word] }
        }
        allowed = next
        stride = wider
    }
    /// Whether a numbered model is in the list; an inherited list admits everything.
    func allows(_ list: UInt32, model: UInt32) -> Bool {
        list == PatternLists.inherit
            || allowed[Int(list) * stride + Int(model >> 6)] >> UInt64(model & 63) & 1 == 1
    }
    /// Whether some pattern of the list matches the text.
    func matches(_ list: UInt32, _ text: Bytes, _ names: borrowing NameArena) -> Bool {
        if list == PatternLists.inherit { return true }
        let range = lists[Int(list)]
        for i in range.first..<range.first + range.count
        where ModelName.matches(pattern: names[patterns[i]], text) {
            return true
        }
        return false
    }
    func entries(_ list: UInt32, _ names: borrowing NameArena) -> [String]? {
        guard list != PatternLists.inherit else { return nil }
        let range = lists[Int(list)]
        var texts: [String] = []
        for i in range.first..<range.first + range.count { texts.append(names[patterns[i]].string) }
        return texts
    }
}
