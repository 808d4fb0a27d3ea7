import Events

/// What the log must say when a past charge is put right.
extension Oracle {
    func corrected(_ json: JSON, _ header: EventHeader) throws {
        func money(_ name: String) -> Int64? {
            json[name]?.string.flatMap { Oracle.scaled($0, 9) }
        }
        guard let name = json["charge"]?.string?.withBytes({ HoldName(parsing: $0) }),
            let spend = spends[name], let usd = money("usd")
        else { throw Fault(text: "event \(header.seq) corrects what is no charge") }
        try require(
            spend.key == header.account.raw && spend.state != .open && spend.state != .released,
            "event \(header.seq) corrects \(name), which is \(spend.state)")
        let placed = json["placed"]?.string?.withBytes { Instant(parsing: $0) }
        try require(
            money("was") == spend.usd && placed == spend.placed,
            "event \(header.seq) tells other things of \(name) than the log")
        for account in accounts[Int(spend.key)].chain.map(Int.init) {
            for key in Oracle.windows(of: spend.placed) {
                accounts[account].windows[key]!.usd += usd - spend.usd
            }
        }
        spend.usd = usd
        try rebill(spend, usd: usd, json, header)
    }
}
