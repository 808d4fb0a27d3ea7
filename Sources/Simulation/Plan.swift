/// What one seed makes likely: each draws its own mixture, so that some runs crash all the time and
/// others never, and rare things meet one another. Rates are a thousandth of steps.
struct Plan {
    var clients: Int
    var orgs: Int
    var teams: Int
    var keys: Int
    /// How tight limits are: 0 hardly any, 3 all bind.
    var tightness: Int
    /// Requests a client sends before it waits for answers.
    var depth: Int
    var checkpointEvents: Int
    var kills: Int
    var powerCuts: Int
    var stops: Int
    var diskFailures: Int
    var diskFills: Int
    var clockJumps: Int
    var vanishing: Int
    var garbage: Int
    var acceptFailures: Int
    /// Weights of what moves.
    var commitWeight: Int
    var followWeight: Int
    var clientWeight: Int
    var largeDocuments: Int
    /// Reserves that may wait for room.
    var waiting: Int
    /// How many of a team may wait.
    var waitingMax: Int
    var idleLineSeconds: Int
    var connectionsMax: Int
    /// Reserves that leave the model to rules.
    var routing: Int
    /// Events after which roll-ups are written.
    var segmentEvents: UInt64

    init(_ random: inout SeededRandom) {
        func rate(_ choices: [Int]) -> Int { random.pick(choices) }
        clients = random.between(1...6)
        orgs = random.between(1...2)
        teams = random.between(1...2)
        keys = random.between(1...3)
        tightness = random.below(4)
        depth = rate([1, 3, 8, 32])
        checkpointEvents = rate([10, 40, 150, 600])
        kills = rate([0, 1, 2, 8])
        powerCuts = rate([0, 1, 2, 8])
        stops = rate([0, 0, 1, 3])
        diskFailures = rate([0, 0, 0, 3, 10])
        diskFills = rate([0, 0, 0, 3, 10])
        clockJumps = rate([0, 2, 10, 40])
        vanishing = rate([0, 2, 10, 40])
        garbage = rate([0, 0, 5, 30])
        acceptFailures = rate([0, 0, 100])
        commitWeight = rate([3, 30, 60, 100])
        followWeight = rate([1, 5, 15])
        clientWeight = rate([60, 120, 240])
        largeDocuments = rate([0, 0, 0, 20, 100])
        waiting = rate([0, 100, 400, 900])
        waitingMax = rate([0, 1, 2, 1_000, 1_000, 1_000])
        idleLineSeconds = rate([2, 30])
        connectionsMax = rate([2, 5, 100])
        routing = rate([0, 50, 300])
        segmentEvents = random.pick([3, 50, 300, 32_768])
    }
}
