/// Takes a payload's fields one by one and says what is wrong with the first that is wrong.
struct FieldReader {
    private let members: [JSON.Member]
    private var read: [Bool]
    private let type: EventType

    init(_ json: JSON, of type: EventType) throws(Failure) {
        guard case .object(let members) = json else {
            throw Failure(.error, "the payload of \(type.name) must be a JSON object")
        }
        self.members = members
        self.type = type
        read = Array(repeating: false, count: members.count)
    }

    mutating func take(_ name: String) -> JSON? {
        guard let i = members.firstIndex(where: { $0.name == name }) else { return nil }
        read[i] = true
        return members[i].value
    }
    func refuseUnread() throws(Failure) {
        let unknown = members.indices.filter { !read[$0] }.map { "\"\(members[$0].name)\"" }
        guard unknown.isEmpty else {
            throw Failure(.error, "\(type.name) has no field \(unknown.joined(separator: ", "))")
        }
    }

    mutating func text(_ name: String, max: Int = Bounds.textBytesMax) throws(Failure) -> String {
        guard let value = try optionalText(name, max: max) else {
            throw Failure(.error, "\(type.name) needs \"\(name)\"")
        }
        return value
    }
    mutating func optionalText(
        _ name: String, max: Int = Bounds.textBytesMax
    ) throws(Failure) -> String? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let text = value.string, !text.isEmpty, text.utf8.count <= max,
            text.withBytes({ $0.isPlainText })
        else {
            throw Failure(.error, "\"\(name)\" must be a text of 1 to \(max) bytes in one line")
        }
        return text
    }
    mutating func account(_ name: String, tier: Tier?) throws(Failure) -> String {
        let path = try text(name, max: 3 * Bounds.nameBytesMax + 2)
        guard let found = path.withBytes({ AccountPath.tier($0) }) else {
            throw Failure(.error, "account \"\(path)\": \(AccountPath.rule)")
        }
        if let tier, found != tier {
            throw Failure(
                .error,
                "account \"\(path)\" is \(found == .org ? "an" : "a") \(found.name)'s path: "
                    + "\(tier == .org ? "an" : "a") \(tier.name) has "
                    + "\(tier.rawValue + 1) name\(tier == .org ? "" : "s") in its path")
        }
        return path
    }
    /// Whether the payload names the field, be it with null.
    func names(_ name: String) -> Bool { members.contains { $0.name == name } }
    mutating func optionalAccount(_ name: String) throws(Failure) -> String? {
        guard let value = take(name), !value.isNull else { return nil }
        return try account(name, tier: nil)
    }
    mutating func optionalInteger(
        _ name: String, _ range: ClosedRange<Int64>
    ) throws(Failure) -> Int64? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let number = value.integer, range.contains(number) else {
            throw Failure(
                .error,
                "\"\(name)\" must be a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }
    mutating func currency(_ name: String) throws(Failure) -> Currency {
        let letters = try text(name)
        guard let currency = letters.withBytes({ Currency($0) }) else {
            throw Failure(
                .error,
                "\(name) \"\(letters)\" is not three capital letters such as CNY (ISO 4217)")
        }
        return currency
    }
    mutating func optionalMoney(_ name: String) throws(Failure) -> Nanodollars? {
        guard let value = take(name), !value.isNull else { return nil }
        return try FieldReader.money(value, name)
    }
    static func money(_ value: JSON, _ name: String) throws(Failure) -> Nanodollars {
        guard let text = value.string else {
            throw Failure(.error, "\"\(name)\" must be a decimal string such as \"12.50\"")
        }
        do throws(MoneyError) {
            return try text.withBytes { (bytes) throws(MoneyError) in
                try Nanodollars(parsing: bytes)
            }
        } catch {
            throw Failure(.error, "\"\(name)\" \(error.explanation)")
        }
    }
    mutating func price(_ name: String) throws(Failure) -> PicoPrice {
        guard let price = try optionalPrice(name) else {
            throw Failure(.error, "\(type.name) needs \"\(name)\", in US dollars a million tokens")
        }
        return price
    }
    mutating func optionalPrice(_ name: String) throws(Failure) -> PicoPrice? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let text = value.string else {
            throw Failure(.error, "\"\(name)\" must be a decimal string such as \"2.50\"")
        }
        do throws(MoneyError) {
            return try text.withBytes { (bytes) throws(MoneyError) in
                try PicoPrice(parsingPerMillion: bytes)
            }
        } catch {
            throw Failure(.error, "\"\(name)\" \(error.explanation)")
        }
    }
    mutating func optionalFlag(_ name: String) throws(Failure) -> Bool? {
        guard let value = take(name), !value.isNull else { return nil }
        guard case .bool(let flag) = value else {
            throw Failure(.error, "\"\(name)\" must be true or false")
        }
        return flag
    }
    mutating func instant(_ name: String) throws(Failure) -> Instant {
        guard let instant = try optionalInstant(name) else {
            throw Failure(.error, "\(type.name) needs \"\(name)\"")
        }
        return instant
    }
    mutating func optionalInstant(_ name: String) throws(Failure) -> Instant? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let text = value.string, let instant = text.withBytes({ Instant(parsing: $0) }) else {
            throw Failure(.error, "\"\(name)\" must be an instant such as \"2026-11-22T10:00:00Z\"")
        }
        return instant
    }
    mutating func optionalArray(_ name: String) throws(Failure) -> [JSON]? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let items = value.array else { throw Failure(.error, "\"\(name)\" must be a list") }
        return items
    }
    mutating func optionalStrings(_ name: String) throws(Failure) -> [String]? {
        guard let items = try optionalArray(name) else { return nil }
        var texts: [String] = []
        for item in items {
            guard let text = item.string, !text.isEmpty,
                text.utf8.count <= Bounds.modelBytesMax, text.withBytes({ $0.isPlainText })
            else {
                throw Failure(
                    .error,
                    "\"\(name)\" must be a list of texts of 1 to \(Bounds.modelBytesMax) bytes")
            }
            if !texts.contains(text) { texts.append(text) }
        }
        guard texts.count <= 1_000 else {
            throw Failure(.error, "\"\(name)\" has more than 1000 entries")
        }
        return texts
    }
    mutating func listChange(_ name: String) throws(Failure) -> PermissionsSet.Change {
        guard members.contains(where: { $0.name == name }) else { return .keep }
        guard let texts = try optionalStrings(name) else { return .inherit }
        return .list(texts)
    }
    mutating func optionalDigest(_ name: String) throws(Failure) -> [UInt8]? {
        guard let text = try optionalText(name) else { return nil }
        guard let digest = hexBytes(text), digest.count == 32 else {
            throw Failure(.error, "\"\(name)\" must be the 64 hexadecimal digits of a SHA-256")
        }
        return digest
    }
    mutating func limits(_ name: String) throws(Failure) -> [LimitChange]? {
        guard let value = take(name), !value.isNull else { return nil }
        guard let members = value.members else {
            throw Failure(.error, "\"\(name)\" must be an object such as {\"usd.day\":\"500\"}")
        }
        var changes: [LimitChange] = []
        for member in members {
            guard let kind = member.name.withBytes({ LimitKind($0) }) else {
                throw FieldReader.noLimit(member.name)
            }
            let amount =
                member.value.isNull
                ? nil : try FieldReader.amount(member.value, of: kind, member.name)
            changes.append(LimitChange(kind: kind, amount: amount))
        }
        return changes.sorted { $0.kind.raw < $1.kind.raw }
    }
    mutating func limitName(_ name: String) throws(Failure) -> LimitKind {
        let text = try self.text(name)
        guard let kind = text.withBytes({ LimitKind($0) }) else {
            throw FieldReader.noLimit(text)
        }
        return kind
    }
    mutating func amount(_ name: String, of kind: LimitKind) throws(Failure) -> Int64 {
        guard let value = take(name), !value.isNull else {
            throw Failure(.error, "\(type.name) needs \"\(name)\"")
        }
        return try FieldReader.amount(value, of: kind, name)
    }
    /// Money is a decimal string, everything else a whole number.
    private static func amount(
        _ value: JSON, of kind: LimitKind, _ name: String
    ) throws(Failure) -> Int64 {
        if kind.isMoney { return try money(value, name).raw }
        guard let count = value.integer, count >= 0 else {
            throw Failure(.error, "\"\(name)\" must be a whole number, 0 or more")
        }
        return count
    }
    private static func noLimit(_ name: String) -> Failure {
        Failure(
            .error,
            "limit \"\(name)\" is not usd, tokens or requests with .minute, .hour, .day, .week, "
                + ".month or .total, nor concurrency")
    }
}
