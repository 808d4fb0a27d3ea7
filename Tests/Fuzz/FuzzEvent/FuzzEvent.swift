import Events

// What is read back from disk or from a peer: the stored event, every typed event, its exported
// JSON, and the JSON parser. A stored event that decodes must encode to the same bytes; its export
// must be JSON; canonical JSON must be a fixed point.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEvent(_ start: UnsafeRawPointer?, _ size: Int) -> CInt {
    guard let start, size > 0 else { return 0 }
    let input = Bytes(start, count: size)
    roundTrip(input)
    if let event = try? StoredEvent(input) { decode(event) }
    return 0
}

private struct Names: EventNames {
    func accountName(_ number: AccountNumber) -> String? { number.raw < 3 ? "acme/ml/prod" : nil }
    func modelName(_ number: ModelNumber) -> String? { number.raw < 3 ? "openai/gpt" : nil }
    func operatorName(_ number: UInt32) -> String? { number < 3 ? "relay" : nil }
}

private func decode(_ event: StoredEvent) {
    var out = ByteBuffer()
    do throws(EventError) {
        switch event.header.type {
        case .holdPlaced: try HoldPlaced(event).encode(into: &out)
        case .holdRefused: try HoldRefused(event).encode(into: &out)
        case .holdSettled: try HoldSettled(event).encode(into: &out)
        case .holdReleased: try HoldReleased(event).encode(into: &out)
        case .holdLapsed: try HoldLapsed(event).encode(into: &out)
        case .chargeRecorded: try ChargeRecorded(event).encode(into: &out)
        case .refusalsSummed: try RefusalsSummed(event).encode(into: &out)
        default: try DocumentEvent(event).encode(into: &out)
        }
    } catch { return }
    // `charge.recorded` has one field that an encoder always leaves empty and a reader skips
    // (scope), and 0-0 as the only spelling of "no hold": a forged event may differ there, so it is
    // not held to the fixed point.
    if event.header.type != .chargeRecorded, event.bytes.count <= Bounds.eventBytesMax {
        precondition(out.bytes == event.bytes, "a decoded event encodes to its own bytes")
    }
    if event.header.type.carriesJSON, let body = try? DocumentEvent(event),
        let json = try? JSON(parsing: body.json)
    {
        _ = try? Document(type: event.header.type, json, strict: true)
        _ = try? Document(type: event.header.type, json, strict: false)
    }
    var exported = ByteBuffer()
    do throws(EventError) { try exported.append(exported: event, names: Names()) } catch { return }
    // Stored texts are checked when they are taken in; a forged one may be any bytes.
    if exported.bytes.isUTF8 { check(exported.bytes) }
}
private func check(_ exported: Bytes) {
    for i in 0..<exported.count { precondition(exported[i] >= 0x20, "one line") }
    do throws(JSONError) {
        _ = try JSON(parsing: exported)
    } catch {
        // A document may name a member as the header does ("seq"); only a forged one can.
        precondition(error.reason.contains("twice"), "the export is JSON: \(error.explanation)")
    }
}

private func roundTrip(_ input: Bytes) {
    guard let json = try? JSON(parsing: input) else { return }
    var first = ByteBuffer()
    first.append(canonical: json)
    guard let again = try? JSON(parsing: first.bytes) else {
        preconditionFailure("canonical JSON parses")
    }
    var second = ByteBuffer()
    second.append(canonical: again)
    precondition(first.bytes == second.bytes, "canonical JSON is a fixed point")
    for type in EventType.allCases { _ = try? Document(type: type, json, strict: true) }
}

// SwiftPM makes `main` an alias of this symbol, so libFuzzer is started from here, not by its own
// main.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ argc: UnsafeMutablePointer<CInt>, _ argv: UnsafeMutableRawPointer,
    _ body: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

@_cdecl("FuzzEvent_main")
public func start(_ argc: CInt, _ argv: UnsafeMutableRawPointer) -> CInt {
    var argc = argc
    var argv = argv
    return runDriver(&argc, &argv, fuzzEvent)
}
