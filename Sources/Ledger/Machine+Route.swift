import Events

// RESERVE and CHECK of the model `auto`, which leaves the choice to rules (`routing.set`).

extension Machine {
    /// The word that a caller says instead of a model.
    static var autoModel: StaticString { "auto" }

    /// Finds the model for `auto` and understands the request as if it had been named.
    mutating func route(
        _ request: borrowing ReserveRequest, _ asked: inout Asked, _ chain: AccountChain
    ) -> Result<(Route, ResolvedModel), Failure> {
        guard let (_, policy) = book.routing(chain) else {
            return .failure(missingRouting(chain))
        }
        let route = book.route(request, input: asked.input, policy, chain, at: now) { _ in }
        let row = book.prices.models.pointer(route.model)
        asked.name = book.names[row.pointee.name]
        asked.rule = route.rule
        guard row.pointee.price != .max else { return .success((route, .unpriced)) }
        asked.model = ModelNumber(route.model)
        asked.price = row.pointee.price
        asked.output = book.tokens(request, asked.price).output
        return .success((route, .priced(model: route.model, price: asked.price)))
    }
    func missingRouting(_ chain: AccountChain) -> Failure {
        let team = book.names[chain.team.pointee.name].string
        let org = book.names[chain.org.pointee.name].string
        return Failure(
            .error,
            "model auto needs rules to choose by: append routing.set for \(team) or \(org), or name a "
                + "model")
    }

    /// The answer that names rule and saving.
    func routed(
        _ route: Route, _ request: borrowing ReserveRequest, _ asked: borrowing Asked
    ) -> RoutedAnswer {
        let tokens = TokenUsage(input: asked.input, output: asked.output)
        let saved = book.saved(route, tier: request.tier, tokens, usd: asked.usd)
        return RoutedAnswer(
            hold: nil, until: now, model: asked.name, usd: Nanodollars(asked.usd),
            rule: route.rule, saved: Nanodollars(saved))
    }
    /// Remembers the routing of a hold that was just placed, and answers with it.
    mutating func place(_ routed: RoutedAnswer, _ answer: Answer) -> Answer {
        guard case .allowed(let hold, _, _, let until) = answer else {
            preconditionFailure("a placed hold is an allowed one")
        }
        book.remember(Extras.Routing(saved: routed.saved.raw, rule: routed.rule), of: hold)
        var routed = routed
        routed.hold = hold
        routed.until = until
        return .routed(routed)
    }
    /// What a hold for `auto` was answered, whatever the routing has become; nil for another request.
    func routedRepeat(
        _ slot: UInt32, _ request: borrowing ReserveRequest, input: Int64
    ) -> Answer? {
        let row = book.holds.row(slot)
        // As it was placed, whatever it has grown to since.
        let placed = book.holds.placing(of: row)
        guard let routed = book.routes.routed(slot, row.pointee.name),
            row.pointee.tier == request.tier, placed.input == input,
            // Without out= it was the largest answer of the model as it was priced then.
            placed.output == book.tokens(request, row.pointee.price).output
        else { return nil }
        return .routed(
            RoutedAnswer(
                hold: row.pointee.name, until: Instant(seconds: Int64(placed.until)),
                model: book.modelName(of: row), usd: Nanodollars(placed.usd),
                rule: book.names[routed.rule], saved: Nanodollars(routed.saved)))
    }
}
