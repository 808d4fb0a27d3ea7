import Events

/// What is read back from disk or from a peer: the stored event, every typed event, its exported form,
/// and the JSON parser.
enum StoredEvents {
    static func check(_ input: Bytes) throws(Broken) {
        try roundTrip(input)
        if let event = try? StoredEvent(input) { try decode(event) }
    }

    /// A stored event that decodes encodes to the same bytes, and its export is JSON in one line.
    static func decode(_ event: StoredEvent) throws(Broken) {
        var out = ByteBuffer()
        do throws(EventError) {
            try encode(event, into: &out)
        } catch { return }
        // `charge.recorded` has one field that an encoder always leaves empty and a reader skips
        // (scope), and 0-0 as the only spelling of "no hold": a forged event may differ there, so it
        // is held to the fixed point only.
        if event.header.type == .chargeRecorded {
            var again = ByteBuffer()
            do throws(EventError) {
                try encode(try StoredEvent(out.bytes), into: &again)
            } catch { throw Broken("what was encoded does not decode: \(error.explanation)") }
            try require(again.bytes == out.bytes, "an encoded charge encodes to its own bytes")
        } else {
            try require(out.bytes == event.bytes, "a decoded event encodes to its own bytes")
        }
        if event.header.type.carriesJSON, let body = try? DocumentEvent(event),
            let json = try? JSON(parsing: body.json)
        {
            _ = try? Document(type: event.header.type, json, strict: true)
            _ = try? Document(type: event.header.type, json, strict: false)
        }
        var exported = ByteBuffer()
        do throws(EventError) {
            try exported.append(exported: event, names: Names())
        } catch { return }
        // Stored texts are checked when they are taken in; a forged one may be any bytes.
        if exported.bytes.isUTF8 { try isOneObject(exported.bytes) }
    }
    private static func encode(
        _ event: StoredEvent, into out: inout ByteBuffer
    ) throws(EventError) {
        switch event.header.type {
        case .holdPlaced: try HoldPlaced(event).encode(into: &out)
        case .holdRefused: try HoldRefused(event).encode(into: &out)
        case .holdSettled: try HoldSettled(event).encode(into: &out)
        case .holdExtended: try HoldExtended(event).encode(into: &out)
        case .holdReleased: try HoldReleased(event).encode(into: &out)
        case .holdLapsed: try HoldLapsed(event).encode(into: &out)
        case .chargeRecorded: try ChargeRecorded(event).encode(into: &out)
        case .refusalsSummed: try RefusalsSummed(event).encode(into: &out)
        default: try DocumentEvent(event).encode(into: &out)
        }
    }
    private static func isOneObject(_ exported: Bytes) throws(Broken) {
        for i in 0..<exported.count { try require(exported[i] >= 0x20, "the export is one line") }
        do throws(JSONError) {
            _ = try JSON(parsing: exported)
        } catch {
            // A document may name a member as the header does ("seq"); only a forged one can.
            try require(
                error.reason.contains("twice"), "the export is no JSON: \(error.explanation)")
        }
    }

    private static func roundTrip(_ input: Bytes) throws(Broken) {
        guard let json = try? JSON(parsing: input) else { return }
        var first = ByteBuffer()
        first.append(canonical: json)
        guard let again = try? JSON(parsing: first.bytes) else {
            throw Broken("canonical JSON does not parse: \(first.string)")
        }
        var second = ByteBuffer()
        second.append(canonical: again)
        try require(first.bytes == second.bytes, "canonical JSON is no fixed point")
        for type in EventType.allCases { _ = try? Document(type: type, json, strict: true) }
    }

    private struct Names: EventNames {
        func accountName(_ number: AccountNumber) -> String? {
            number.raw < 3 ? "acme/ml/prod" : nil
        }
        func modelName(_ number: ModelNumber) -> String? { number.raw < 3 ? "openai/gpt" : nil }
        func operatorName(_ number: UInt32) -> String? { number < 3 ? "relay" : nil }
    }

    /// Every event that a busy ledger writes, as it writes it.
    static var seeds: [[UInt8]] {
        var desk = Desk()
        for line in Desk.day { desk.ask(line) }
        return desk.log
    }
}
