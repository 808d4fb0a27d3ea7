import Events

// What the calendar and admins have appended in the past.

extension Machine {
    mutating func review(
        _ event: DocumentEvent, _ sides: inout Difference.Sides
    ) throws(EventError) {
        let type = event.header.type
        guard let json = try? JSON(parsing: event.json),
            let document = try? Document(type: type, json, strict: false)
        else { throw .malformed("payload") }
        switch document {
        case .epochStarted:
            // Only what an earlier run counted comes right behind it.
            startedAt = event.header.seq
            floods.begin(second: .min)
        case .ledgerCreated, .personalErased: break
        case .windowOpened(let opened): try review(opened, event.header, &sides)
        case .keyRotationDue:
            if !book.needsRotation(event.header.account.raw, at: now) {
                sides.add("due", "\(now)", "not yet, or said before")
            }
        case .creditExpired(let gone):
            guard book.accounts.rows.count > Int(event.header.account.raw) else {
                throw .malformed("account")
            }
            let org = book.accounts.rows.pointer(event.header.account.raw).pointee.orgRow!
            guard org.pointee.credit != .max else { throw .malformed("grant") }
            let first = book.credits[Int(org.pointee.credit)].grants.first
            sides.compare("grant", UInt64(gone.grant), first?.seq ?? 0)
            sides.compare(usd: gone.usd.raw, first?.left ?? 0)
            if let first, first.expires > now.nanoseconds {
                sides.add("time", "\(now)", "not before \(Instant(nanoseconds: first.expires))")
            }
        case .overrideEnded(let ended) where event.header.actor == .daemon:
            let row = book.overrides.find(event.header.account.raw, ended.kind)
            if let row, row.until > now.nanoseconds {
                sides.add("time", "\(now)", "not before \(Instant(nanoseconds: row.until))")
            }
        default: review(appended: event, json, &sides)
        }
    }
    private func review(
        _ opened: WindowOpened, _ header: EventHeader, _ sides: inout Difference.Sides
    ) throws(EventError) {
        guard header.account.raw < UInt32(book.accounts.rows.count) else {
            throw .malformed("account")
        }
        let row = book.accounts.rows.pointer(header.account.raw)
        guard row.pointee.tier == .org, opened.window != .minute, opened.window != .total else {
            throw .malformed("window")
        }
        let org = book.accounts.orgs.pointer(row.pointee.org)
        let zone = book.accounts.zones[Int(row.pointee.org)]
        let cell = WindowCell.index(opened.window)
        let bounds = calendar.bounds(zone, opened.window, now)
        sides.compare("zone", opened.zone, zone)
        if org.pointee.isOpen(cell, at: now) {
            let end = Instant(nanoseconds: org.pointee.end[cell])
            sides.add("time", "\(now)", "not before \(end), the end of the window before")
        }
        let start = max(bounds.start, Instant(nanoseconds: org.pointee.end[cell]))
        sides.compare("start", opened.start, start)
        sides.compare("end", opened.end, bounds.end)
    }
    /// What an admin appended is checked against the rights and the book of that instant.
    private func review(
        appended event: DocumentEvent, _ json: JSON, _ sides: inout Difference.Sides
    ) {
        let type = event.header.type
        let makesSecret = event.header.flags & DocumentEvent.generatedSecret != 0
        func isGiven(_ name: String) -> Bool { json[name].map { !$0.isNull } ?? false }
        // Without what the daemon added to what was asked.
        let asked = (json.members ?? []).filter {
            switch $0.name {
            case "secret_sha256": !makesSecret
            case "expires": !isGiven("expires_in")
            case "until": !isGiven("for")
            case "billed", "currency": type != .chargeCorrected
            default: true
            }
        }
        let secret = makesSecret ? json["secret_sha256"]?.string.flatMap(hexBytes) : nil
        do throws(Failure) {
            let derived = try checked(type, .object(asked), secret: secret)
            sides.compare("account", event.header.account.raw, derived.account.raw) {
                book.path(of: AccountNumber($0))?.string ?? "none"
            }
            sides.compare("number", event.number, derived.number)
            var text = ByteBuffer()
            text.append(canonical: derived.payload)
            sides.compare("payload", event.json.string, text.string)
        } catch {
            sides.add("answer", "appended", "an error: \(error.text)")
        }
    }
}
