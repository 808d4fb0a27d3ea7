import Events

extension RollupAnswer {
    /// `{"as_of":…,"by":[…],"rows":[…],"total":{…},"next":…}`; what is 0 is left out of a row, `requests` and
    /// `usd` apart.
    package func write(_ by: [RollupQuery.Dimension], into json: inout ByteBuffer) {
        var object = ObjectWriter(opening: &json)
        object.field("as_of", Int64(asOf), into: &json)
        object.name("by", into: &json)
        json.append(.strings(by.map { "\($0.name)" }))
        object.name("rows", into: &json)
        json.append(UInt8(ascii: "["))
        for (i, group) in groups.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            var row = ObjectWriter(opening: &json)
            for (dimension, label) in zip(by, group.labels) {
                if let label {
                    row.field(dimension.name, label, into: &json)
                } else {
                    row.null(dimension.name, into: &json)
                }
            }
            if let date = group.date { row.field("date", date, into: &json) }
            group.counts.write(&row, into: &json)
            json.append(UInt8(ascii: "}"))
        }
        json.append(UInt8(ascii: "]"))
        object.name("total", into: &json)
        var sum = ObjectWriter(opening: &json)
        total.write(&sum, into: &json)
        json.append(UInt8(ascii: "}"))
        switch next {
        case .number(let number)?: object.field("next", Int64(number), into: &json)
        case let cursor?: object.field("next", "\(cursor)", into: &json)
        case nil: object.null("next", into: &json)
        }
        if by.contains(where: { $0.tag != nil }) { writeSpans(&object, into: &json) }
        json.append(UInt8(ascii: "}"))
    }

    /// `"orgs":[{"org":"acme","zone":"Europe/Berlin","from":…,"to":…,"exact":true}]`
    private func writeSpans(_ object: inout ObjectWriter, into json: inout ByteBuffer) {
        object.name("orgs", into: &json)
        json.append(UInt8(ascii: "["))
        for (i, span) in spans.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            var entry = ObjectWriter(opening: &json)
            if let org = span.org {
                entry.field("org", org, into: &json)
            } else {
                entry.null("org", into: &json)
            }
            entry.field("zone", span.zone, into: &json)
            entry.field("from", span.from, into: &json)
            // An open end is none.
            if span.to == .distantFuture {
                entry.null("to", into: &json)
            } else {
                entry.field("to", span.to, into: &json)
            }
            entry.field("exact", span.isExact, into: &json)
            json.append(UInt8(ascii: "}"))
        }
        json.append(UInt8(ascii: "]"))
    }
}

extension RollupCounts {
    fileprivate func write(_ row: inout ObjectWriter, into json: inout ByteBuffer) {
        row.field("requests", requests, into: &json)
        row.field("usd", Nanodollars(self[.usd]), into: &json)
        for field in RollupField.allCases
        where self[field] != 0 && field != .usd && field != .billedUSD {
            if field.isMoney {
                row.field(field.name, Nanodollars(self[field]), into: &json)
            } else {
                row.field(field.name, self[field], into: &json)
            }
        }
        writeBilled(&row, into: &json)
        writePriced(&row, into: &json)
        writeReasons(&row, into: &json)
        writeLatency(&row, into: &json)
    }
    /// `"billed":{"CNY":"7.3","USD":"1"}`
    private func writeBilled(_ row: inout ObjectWriter, into json: inout ByteBuffer) {
        var amounts = tagged.compactMap { item in
            item.tag.currency.map { ($0.name, item.value) }
        }
        if self[.billedUSD] != 0 { amounts.append(("USD", self[.billedUSD])) }
        amounts = amounts.filter { $0.1 != 0 }.sorted { $0.0 < $1.0 }
        guard !amounts.isEmpty else { return }
        row.name("billed", into: &json)
        json.append(UInt8(ascii: "{"))
        for (i, (currency, amount)) in amounts.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            json.append(quoted: currency)
            json.append(":\"" as StaticString)
            json.append(Nanodollars(amount))
            json.append(UInt8(ascii: "\""))
        }
        json.append(UInt8(ascii: "}"))
    }
    /// `"priced":{"CNY":{"list":"7.3","list_usd":"1","billed_usd":"1.1"}}`: of what was billed in another
    /// currency than dollars the other sides.
    private func writePriced(_ row: inout ObjectWriter, into json: inout ByteBuffer) {
        let currencies = foreignCurrencies
        guard !currencies.isEmpty else { return }
        row.name("priced", into: &json)
        json.append(UInt8(ascii: "{"))
        for (i, currency) in currencies.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            json.append(quoted: currency.name)
            json.append(UInt8(ascii: ":"))
            var parts = ObjectWriter(opening: &json)
            for part in BilledPart.allCases where part != .billed {
                parts.field(part.name, Nanodollars(self[RollupTag(currency, part)]), into: &json)
            }
            json.append(UInt8(ascii: "}"))
        }
        json.append(UInt8(ascii: "}"))
    }
    /// `"reasons":{"budget_exhausted":3}`
    private func writeReasons(_ row: inout ObjectWriter, into json: inout ByteBuffer) {
        let reasons = tagged.compactMap { item in item.tag.refusal.map { ($0, item.value) } }
            .filter { $0.1 != 0 }
        guard !reasons.isEmpty else { return }
        row.name("reasons", into: &json)
        var object = ObjectWriter(opening: &json)
        for (reason, count) in reasons { object.field(reason.name, count, into: &json) }
        json.append(UInt8(ascii: "}"))
    }
    /// `"latency":[[12,3],[14,1]]`: the least milliseconds of a bucket, and how many calls were in it.
    private func writeLatency(_ row: inout ObjectWriter, into json: inout ByteBuffer) {
        let buckets = tagged.compactMap { item in
            item.tag.latencyBucket.map { (LatencyHistogram.lowest(of: $0), item.value) }
        }.filter { $0.1 != 0 }
        guard !buckets.isEmpty else { return }
        row.name("latency", into: &json)
        json.append(UInt8(ascii: "["))
        for (i, (lowest, count)) in buckets.enumerated() {
            if i > 0 { json.append(UInt8(ascii: ",")) }
            json.append(UInt8(ascii: "["))
            json.append(decimal: Int64(lowest))
            json.append(UInt8(ascii: ","))
            json.append(decimal: count)
            json.append(UInt8(ascii: "]"))
        }
        json.append(UInt8(ascii: "]"))
    }
}
