/// What a limit counts.
package enum Unit: UInt8, CaseIterable, Sendable {
    case usd = 0
    case tokens = 1
    case requests = 2
}

/// Over which time a limit counts.
///
/// `minute` slides (sixty one-second buckets); `hour` to `month` follow the calendar of the org's
/// zone; `total` never resets.
package enum Window: UInt8, CaseIterable, Sendable {
    case minute = 0
    case hour = 1
    case day = 2
    case week = 3
    case month = 4
    case total = 5

    package static let calendar: [Window] = [.hour, .day, .week, .month]

    package var name: StaticString {
        switch self {
        case .minute: "minute"
        case .hour: "hour"
        case .day: "day"
        case .week: "week"
        case .month: "month"
        case .total: "total"
        }
    }
    package init?(_ name: Bytes) {
        guard let found = Window.allCases.first(where: { name == $0.name }) else { return nil }
        self = found
    }
}

/// One of the nineteen limits an account can have: three units × six windows, and `concurrency`.
///
/// The raw value is `unit × 6 + window`, 18 for concurrency; it stands in stored events.
package struct LimitKind: Hashable, Sendable {
    package var raw: UInt8
    package init(_ unit: Unit, _ window: Window) { raw = unit.rawValue * 6 + window.rawValue }
    private init(raw: UInt8) { self.raw = raw }

    package static let concurrency = LimitKind(raw: 18)
    package static let count = 19
    /// All of them, units first and then the shortest window; concurrency is the last.
    package static let all: [LimitKind] = (0..<UInt8(count)).map { LimitKind(raw: $0) }

    package init?(stored raw: UInt8) {
        guard raw < LimitKind.count else { return nil }
        self.raw = raw
    }
    package var unit: Unit? { raw == 18 ? nil : Unit(rawValue: raw / 6) }
    package var window: Window? { raw == 18 ? nil : Window(rawValue: raw % 6) }
    package var isMoney: Bool { raw < 6 }

    package var name: StaticString {
        switch raw {
        case 0: "usd.minute"
        case 1: "usd.hour"
        case 2: "usd.day"
        case 3: "usd.week"
        case 4: "usd.month"
        case 5: "usd.total"
        case 6: "tokens.minute"
        case 7: "tokens.hour"
        case 8: "tokens.day"
        case 9: "tokens.week"
        case 10: "tokens.month"
        case 11: "tokens.total"
        case 12: "requests.minute"
        case 13: "requests.hour"
        case 14: "requests.day"
        case 15: "requests.week"
        case 16: "requests.month"
        case 17: "requests.total"
        default: "concurrency"
        }
    }
    package init?(_ name: Bytes) {
        guard let found = LimitKind.all.first(where: { name == $0.name }) else { return nil }
        self = found
    }
}
