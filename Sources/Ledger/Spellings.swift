import Events

/// What a bare name may be compared with: an alias, or what stands behind a model's provider.
struct Spelling: BitwiseCopyable {
    var name: NameRef
    /// The alias's number, or the model's.
    var number: UInt32
    var isAlias: Bool
    /// A bit for each kind of character in it.
    var letters: UInt64
}

extension PriceBook {
    mutating func addSpelling(_ name: NameRef, alias: UInt32, in names: borrowing NameArena) {
        _ = spellings.append(
            Spelling(name: name, number: alias, isAlias: true, letters: letters(of: names[name])))
    }
    /// Of a qualified name, from behind its last slash.
    mutating func addSpelling(_ name: NameRef, model: UInt32, in names: borrowing NameArena) {
        let text = names[name]
        var start = text.count
        while start > 0, text[start - 1] != UInt8(ascii: "/") { start -= 1 }
        let part = NameRef(
            offset: name.offset + UInt32(start), length: name.length - UInt32(start))
        _ = spellings.append(
            Spelling(name: part, number: model, isAlias: false, letters: letters(of: names[part])))
    }

    /// The models whose bare names are nearest to a bare name that means none, the nearest first.
    ///
    /// As near as a slip of the fingers: one edit for three characters, two for up to eight, else
    /// three; and behind those the names that go on where this one ends. Of equally near ones what an
    /// alias stands for comes first: dozens of providers may sell a model of one name, and the alias
    /// says which of them is meant.
    func nearest(to asked: Bytes, in names: borrowing NameArena) -> NearestModels {
        var found = NearestModels()
        guard asked.count >= 1, asked.count <= 64 else { return found }
        let most = asked.count <= 3 ? 1 : asked.count <= 8 ? 2 : 3
        let pattern = EditPattern(asked)
        let wanted = letters(of: asked)
        for i in 0..<spellings.count {
            let spelling = spellings.pointer(i)
            let other = spelling.pointee.letters
            let length = Int(spelling.pointee.name.length)
            // An edit changes at most two of the bits, and the length by one: that sorts out nearly all,
            // so a flood of such names costs microseconds each, however many models there are.
            let mayBeNear =
                abs(length - asked.count) <= most && (wanted ^ other).nonzeroBitCount <= 2 * most
            let mayGoOn = length > asked.count && asked.count >= 3 && wanted & ~other == 0
            guard mayBeNear || mayGoOn else { continue }
            let text = names[spelling.pointee.name]
            var distance = mayBeNear ? pattern.distance(to: text) : Int.max
            if distance > most {
                guard mayGoOn, text.slice(0, asked.count) == asked else { continue }
                distance = most + 1
            }
            let model =
                spelling.pointee.isAlias
                ? aliases.pointer(spelling.pointee.number).pointee.model : spelling.pointee.number
            found.insert(model, distance * 2 + (spelling.pointee.isAlias ? 0 : 1))
        }
        return found
    }
    /// The names of those; none for what is no bare name.
    func hints(for asked: Bytes, in names: borrowing NameArena) -> [String] {
        guard asked.firstIndex(of: UInt8(ascii: "/")) == nil else { return [] }
        let found = nearest(to: asked, in: names)
        return (0..<found.count).map { names[models.pointer(found[$0]).pointee.name].string }
    }
}

/// The best three of many.
struct NearestModels {
    private(set) var count = 0
    private var entries = InlineArray<3, (rank: Int, model: UInt32)>(
        repeating: (.max, .max))
    subscript(i: Int) -> UInt32 { entries[i].model }

    /// Lower ranks first, and of equal ones that which the book knew first.
    mutating func insert(_ model: UInt32, _ rank: Int) {
        var at = 0
        while at < count, (entries[at].rank, entries[at].model) < (rank, model) {
            if entries[at].model == model { return }
            at += 1
        }
        guard at < 3 else { return }
        // It goes in here; its own, worse place behind, or else the last one, falls out.
        var last = at
        while last < count, last < 2, entries[last].model != model { last += 1 }
        if last == count { count += 1 }
        while last > at {
            entries[last] = entries[last - 1]
            last -= 1
        }
        entries[at] = (rank, model)
    }
}

private func letters(of text: Bytes) -> UInt64 {
    var mask: UInt64 = 0
    for i in 0..<text.count {
        let c = text[i]
        let bit: UInt8 =
            switch c {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): c - UInt8(ascii: "a")
            case UInt8(ascii: "0")...UInt8(ascii: "9"): 26 + c - UInt8(ascii: "0")
            default: 36 + c % 28
            }
        mask |= 1 << UInt64(bit)
    }
    return mask
}

/// How many characters must be put in, taken out or replaced to make one text of another: Myers's
/// algorithm, a column of the table in one word.
private struct EditPattern {
    private let text: Bytes
    init(_ text: Bytes) { self.text = text }

    func distance(to other: Bytes) -> Int {
        let last: UInt64 = 1 << UInt64(text.count - 1)
        var positive = UInt64.max
        var negative: UInt64 = 0
        var distance = text.count
        for i in 0..<other.count {
            var equal: UInt64 = 0
            for j in 0..<text.count where text[j] == other[i] { equal |= 1 << UInt64(j) }
            let diagonal = (((equal & positive) &+ positive) ^ positive) | equal | negative
            var up = negative | ~(diagonal | positive)
            var down = positive & diagonal
            if up & last != 0 { distance += 1 }
            if down & last != 0 { distance -= 1 }
            up = up << 1 | 1
            down <<= 1
            positive = down | ~(diagonal | up)
            negative = up & diagonal
        }
        return distance
    }
}

extension Machine {
    /// The hint of a refusal; valid until the next command.
    mutating func hint(for asked: Bytes) -> Bytes {
        hints.removeAll()
        guard asked.firstIndex(of: UInt8(ascii: "/")) == nil, asked.isPlainText else {
            return .empty
        }
        let nearest = book.prices.nearest(to: asked, in: book.names)
        for i in 0..<nearest.count {
            if i > 0 { hints.append(UInt8(ascii: ",")) }
            hints.append(book.names[book.prices.models.pointer(nearest[i]).pointee.name])
        }
        return hints.bytes
    }
}
