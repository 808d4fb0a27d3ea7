import Audit
import Events
import Gate
import Glibc
import Journal
import Ledger
import Logging
import Reports

/// Something that must never be, found by a simulation.
package struct Violation: Error { package let text: String }

/// Everything a daemon lives among, in one place and moved by one seed: its clients, its kernel, its
/// disk, the clock; and the checker that watches it.
final class World {
    let plan: Plan
    let story: Story
    let checker: Checker
    var random: SeededRandom
    private(set) var kernel: SimulatedKernel!
    private(set) var disk: SimulatedDisk!
    private(set) var clients: [SimulatedClient] = []
    let catalog: Catalog
    private(set) var daemon: SteppedDaemon?
    private let directory: String
    private let ledger: LedgerID
    private let logger: Logger

    /// Nanoseconds since 1970, and of a clock that only goes forward.
    private(set) var wall: Int64
    private(set) var monotonic: Int64 = 1_000_000_000_000
    private(set) var step = 0
    /// The last step at which the daemon was down or did not take everything.
    private(set) var troubledAt = 0
    /// The step of the last SIGTERM.
    private(set) var stoppedAt = -1
    /// The last step at which answers that were counted and not written may have been lost.
    private(set) var isDraining = false
    private(set) var violation: Violation?
    /// Whether the daemon could read or make its key when it started.
    private(set) var isSigning = false

    /// Steps of the disk and the network until the process dies among them; nil while it may live.
    private var fuse: Int?
    private var dyingIsPowerCut = false
    /// What the crash left; the process has not noticed yet that it is none any more.
    private var wreck: SimulatedDisk.Image?
    var isDead: Bool { wreck != nil }
    private var isInsideCommit = false
    private var isInsideTurn = false
    private var pipes = 0

    init(seed: UInt64, story: Story, directory: String) {
        random = SeededRandom(seed: seed)
        plan = Plan(&random)
        self.story = story
        self.directory = directory
        checker = Checker(plan, story: story)
        catalog = Catalog(plan, &random)
        ledger = LedgerID(high: seed | 1, low: ~seed)
        // Shortly before the end of an hour, a day, a month or anything else.
        let months: [Int64] = [1_769_903_400, 1_772_322_600, 1_767_225_000, 1_774_998_000]
        wall = (random.pick(months) + Int64(random.below(4_000))) * 1_000_000_000
        wall += Int64(random.below(1_000_000_000))
        logger = Logger(label: "simulation") { [story] _ in StoryLog(story) }
        mkdir(directory, 0o700)
        kernel = SimulatedKernel(world: self)
        disk = SimulatedDisk(world: self, directory: directory)
        for i in 0..<plan.clients { clients.append(SimulatedClient(number: i, world: self)) }
    }

    // MARK: What others ask

    var stagedSeq: UInt64 { daemon?.stagedSeq ?? 0 }
    var durableSeq: UInt64 { daemon?.durableSeq ?? 0 }
    func fail(_ what: String) {
        if violation == nil {
            violation = Violation(text: what)
            story.tell("VIOLATION: \(what)")
        }
    }
    func check(_ body: () throws -> Void) {
        do {
            try body()
        } catch let found as Violation {
            fail(found.text)
        } catch let fault as Oracle.Fault {
            fail(fault.text)
        } catch {
            fail("\(error)")
        }
    }
    func connect() -> Pipe? {
        guard daemon != nil, !isDead else { return nil }
        pipes += 1
        let pipe = Pipe(number: pipes, capacity: random.pick([300, 4_096, 200_000]))
        kernel.connect(pipe)
        return pipe
    }

    // MARK: Time

    func pass(milliseconds: Int64) { pass(nanoseconds: milliseconds * 1_000_000) }
    private func pass(nanoseconds: Int64) {
        wall += nanoseconds
        monotonic += nanoseconds
    }
    private func jumpClock() {
        let second: Int64 = 1_000_000_000
        let before = wall
        switch random.below(8) {
        case 0: wall += Int64(random.below(90)) * second
        case 1: wall += Int64(random.below(7_200)) * second
        case 2: wall += Int64(random.below(5 * 86_400)) * second
        case 3: wall -= Int64(random.below(3_600)) * second
        case 4: wall = (wall / second / 3_600 + 1) * 3_600 * second
        case 5: wall = (wall / second / 3_600 + 1) * 3_600 * second - 1
        case 6: wall = (wall / second / 86_400 + 1) * 86_400 * second - Int64(random.below(2))
        default: wall = (wall / second + 1) * second - Int64(random.below(2))
        }
        // A wall clock may be set without time passing; the gate's own sleep knows the other clock.
        if wall > before { monotonic += min(wall - before, 120 * second) }
        story.tell("the clock jumps by \((wall - before) / 1_000_000) ms")
        // At once, so that a turn falls on the very instant of a boundary.
        if random.chance(500) { turn() }
    }

    // MARK: The run

    /// Takes so many steps, and then lets everything come to rest.
    func run(steps: Int) {
        start()
        while step < steps, violation == nil { takeStep() }
        if violation == nil { comeToRest() }
        daemon = nil
    }

    private func takeStep() {
        step += 1
        story.step = step
        pass(nanoseconds: Int64(random.below(random.chance(50) ? 300_000_000 : 4_000_000)))
        if isTroubled { troubledAt = step }
        if daemon == nil {
            if random.chance(200) { start() }
            if random.chance(300) { moveClient() }
            if disk.failure != 0, random.chance(100) { heal() }
            return
        }
        if takeRareStep() { return afterStep() }
        // Only what can move: a step in which nothing happens finds nothing.
        let weights = [
            plan.clientWeight, mayTurn ? 120 : 1,
            durableSeq < stagedSeq || daemon?.state != .normal ? plan.commitWeight : 0,
            plan.followWeight, daemon?.hasQuestions == true ? 60 : 0, 5,
        ]
        var at = random.below(weights.reduce(0, +))
        var which = 0
        while at >= weights[which] {
            at -= weights[which]
            which += 1
        }
        switch which {
        case 0: moveClient()
        case 1: turn()
        case 2: commit()
        case 3: follow()
        case 4: read()
        default: disk.writeBack()
        }
        afterStep()
    }
    private func moveClient() {
        let busy = clients.filter(\.canMove)
        (busy.isEmpty || random.chance(50) ? random.pick(clients) : random.pick(busy)).move()
    }

    /// Something rare, if this is its step.
    private func takeRareStep() -> Bool {
        if random.chance(plan.kills) {
            if random.chance(500) { light(powerCut: false) } else { crash(powerCut: false) }
        } else if random.chance(plan.powerCuts) {
            if random.chance(500) { light(powerCut: true) } else { crash(powerCut: true) }
        } else if random.chance(plan.stops) {
            stop()
        } else if random.chance(plan.clockJumps) {
            jumpClock()
        } else if random.chance(plan.diskFailures) {
            disk.failure = random.chance(500) ? EIO : ENOSPC
            story.tell("the disk fails: \(disk.failure == EIO ? "EIO" : "ENOSPC")")
        } else if random.chance(plan.diskFills) {
            disk.freeBytes = random.chance(500) ? 10 << 20 : 70 << 20
            story.tell("free disk: \(disk.freeBytes >> 20) MiB")
        } else if disk.failure != 0 || disk.freeBytes < 1 << 40, random.chance(20) {
            heal()
        } else {
            return false
        }
        return true
    }
    private func heal() {
        disk.failure = 0
        disk.freeBytes = 1 << 40
        story.tell("the disk is well again")
    }
    private var isTroubled: Bool {
        daemon == nil || disk.failure != 0 || disk.freeBytes < 1 << 40 || daemon?.state != .normal
    }
    private func afterStep() {
        disk.dieIfTorn()
        if isDead { bury() }
        guard violation == nil, let daemon, !isDead else { return }
        check { try checker.watch(daemon, isThorough: step % 97 == 0, random: &random) }
        if step % 97 == 0 { check { try requireErased() } }
    }

    // MARK: What moves the daemon

    private func turn() {
        guard let daemon, mayTurn else { return }
        isInsideTurn = true
        daemon.turn()
        isInsideTurn = false
        guard !isDead else { return }
        absorb()
        requireNothingUnkept()
        let sleep = daemon.sleep
        kernel.wakesAt = sleep < 0 ? nil : monotonic + Int64(sleep) * 1_000_000
    }
    /// The gate moves only when something wakes it: a wake that never comes must be found.
    private var mayTurn: Bool {
        if let wakesAt = kernel.wakesAt, wakesAt <= monotonic { return true }
        return !kernel.ready.isEmpty
    }
    /// What no event came of leaves nothing behind.
    private func requireNothingUnkept() {
        guard let daemon, disk.failure == 0 else { return }
        let (size, end) = (disk.personalBytes, daemon.journal.personal.end)
        if size > end { fail("\(size - end) bytes of requests that came to nothing are kept") }
    }
    /// What was erased stands nowhere in the file, whatever crash came since.
    func requireErased() throws {
        guard !isDead, !checker.persons.gone.isEmpty else { return }
        try checker.persons.requireGone(from: File.bytes(directory + "/personal") ?? [])
    }
    private func commit() {
        guard let daemon, !isInsideCommit else { return }
        isInsideCommit = true
        let before = daemon.durableSeq
        let round = daemon.commit()
        isInsideCommit = false
        if round != .idle, !isDead {
            story.tell("commit \(round): durable \(before) → \(daemon.durableSeq)")
        }
    }
    /// The gate goes on while a commit is under way.
    func duringCommit() {
        guard isInsideCommit, !isInsideTurn, !isDraining, random.chance(300) else { return }
        for _ in 0..<random.between(1...3) where !isDead {
            moveClient()
            turn()
        }
    }
    private func follow() {
        guard let daemon else { return }
        do throws(DaemonFailure) {
            try daemon.follow()
        } catch {
            if !isDead { fail("the second fold: \(error.message)") }
        }
    }
    private func read() {
        if let daemon, daemon.read(), !isDead { story.tell("a reader answers") }
    }
    /// A drain waits for its clients and the committer: they go on meanwhile.
    func whileGateSleeps(milliseconds: Int32) {
        pass(milliseconds: Int64(max(milliseconds, 1)))
        absorb()
        for client in clients where random.chance(700) { client.move() }
        commit()
        read()
    }

    /// Shows the checker what was staged.
    ///
    /// - Parameter isDying: whether the process ends here, in the middle of whatever it does.
    private func absorb(isDying: Bool = false) {
        guard let daemon else { return }
        check { try checker.absorb(daemon, isDying: isDying) }
    }

    // MARK: Life and death

    /// Whether the process goes on past this point of its code.
    func mayGoOn(_ where: String) -> Bool {
        guard !isDead else { return false }
        guard let left = fuse else { return true }
        fuse = left - 1
        if left > 0 { return true }
        die("at \(`where`)")
        return false
    }
    var isAboutToDie: Bool { fuse == 0 }
    /// Lets the process die a few calls from now, wherever that is.
    private func light(powerCut: Bool) {
        fuse = random.below(random.chance(500) ? 8 : 60)
        dyingIsPowerCut = powerCut
    }
    /// From here on nothing the process does has any effect.
    func die(_ how: String) {
        guard !isDead else { return }
        fuse = nil
        story.tell("\(dyingIsPowerCut ? "power cut" : "kill -9") \(how)")
        absorb(isDying: true)
        if daemon != nil { checker.noteEnd(durable: durableSeq) }
        wreck = disk.crashImage(powerCut: dyingIsPowerCut)
    }
    private func crash(powerCut: Bool) {
        dyingIsPowerCut = powerCut
        die("between two steps")
    }
    private func bury() {
        let image = wreck!
        daemon = nil
        isDraining = false
        kernel.processEnded()
        disk.restore(image)
        wreck = nil
        troubledAt = step
        checker.expectAfterCrash(powerCut: dyingIsPowerCut)
        for client in clients { client.serverDied(powerCut: dyingIsPowerCut) }
        // Two crashes in a row: the second one while the daemon recovers from the first.
        if random.chance(300) { light(powerCut: random.chance(500) && plan.powerCuts > 0) }
    }

    private func start() {
        var settings = JournalOptions(directory: directory)
        settings.ringBytes = 256 << 10
        settings.mapBytes = 1 << 20
        settings.rig = disk
        settings.newLedgerID = ledger
        settings.batchBytesMax = 70 << 10
        // Now and then made anew, as with --reindex; and with few placings in memory, so that those of
        // older requests are read again.
        let rollups = Rollups(
            makesAnew: random.chance(50), segmentEvents: plan.segmentEvents, placings: 16)
        settings.projections = [MerkleTree(), rollups]
        var options = DaemonOptions(dataDirectory: directory)
        options.checkpointEvents = plan.checkpointEvents
        options.idleLineSeconds = plan.idleLineSeconds
        options.waitingMax = plan.waitingMax
        options.connectionsMax = plan.connectionsMax
        do throws(DaemonFailure) {
            let started = try SteppedDaemon(
                options, journal: settings, host: kernel, calendar: .utc, version: "simulated",
                logger: logger)
            guard !isDead else { return bury() }
            daemon = started
            story.tell(
                "started: epoch \(started.epoch), seq \(started.seq), \(started.recovered) events from "
                    + "the ring")
            kernel.wakesAt = monotonic
            isSigning = started.signing.problem == nil
            check { try checker.checkStart(started) }
            check { try requireErased() }
            checker.hurry.isForAll = false
        } catch {
            disk.dieIfTorn()
            if isDead { return bury() }
            kernel.processEnded()
            // Only a disk that fails may keep it from starting.
            guard disk.failure != 0 else { return fail("it does not start: \(error.message)") }
            story.tell("it cannot start on this disk")
        }
    }
    private func stop() {
        guard let daemon else { return }
        story.tell("SIGTERM")
        stoppedAt = step
        checker.hurry.isForAll = true
        isDraining = true
        do throws(DaemonFailure) {
            let all = try daemon.stop()
            guard !isDead else { return }
            absorb()
            isDraining = false
            story.tell("stopped at seq \(daemon.seq)\(all ? "" : ", some of it only in the ring")")
            if disk.failure == 0, !all { fail("a healthy disk does not take all that was staged") }
        } catch {
            guard !isDead else { return }
            isDraining = false
            fail("at the end: \(error.message)")
        }
        check { try checker.checkPromises() }
        checker.noteEnd(durable: durableSeq)
        self.daemon = nil
        kernel.processEnded()
        checker.expectAfterCrash(powerCut: false)
        troubledAt = step
        for client in clients { client.serverDied(powerCut: false) }
    }

    /// Everything well, nothing new asked: all that was asked must be answered, and the books agree.
    private func comeToRest() {
        story.tell("coming to rest")
        fuse = nil
        heal()
        for client in clients { client.isTired = true }
        var rounds = 0
        while violation == nil, rounds < 20_000 {
            rounds += 1
            // While a clock that was set back catches up, the log's time stands still, and who waits with it.
            let behind = (daemon?.now.nanoseconds ?? wall) - wall
            pass(milliseconds: 20 + max(behind, 0) / 100_000_000)
            if daemon == nil { start() }
            for client in clients { client.move() }
            turn()
            commit()
            read()
            follow()
            afterStep()
            if clients.allSatisfy(\.isAtRest) { break }
        }
        for client in clients where violation == nil && !client.isAtRest {
            fail("client \(client.number) is never answered: \(client.oldestAsk)")
        }
        guard violation == nil else { return }
        // Every hold has to end some day, by itself if need be.
        wall += 100_000 * 1_000_000_000
        monotonic += 100_000 * 1_000_000_000
        for _ in 0..<10 {
            turn()
            commit()
            pass(milliseconds: 1_000)
        }
        if let daemon, daemon.openHolds > 0 { fail("\(daemon.openHolds) holds never lapse") }
        afterStep()
        if violation == nil { stop() }
        if violation == nil { start() }
        if violation == nil { check { try checker.checkRefusals() } }
    }
}
