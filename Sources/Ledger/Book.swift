import Events

/// Everything the ledger knows: the fold of the log, and nothing else.
///
/// `apply` is its only writer and reads no clock, no environment and no unordered collection, so the
/// same events make the same book wherever they are folded. One thread owns a book.
package struct Book: ~Copyable {
    // The tables stand on the heap and are reached by address. As stored structs they made the book
    // 768 bytes long, and Swift 6.3 copies a struct that size to the stack for each borrowing call:
    // eight such copies were a third of a decision's instructions. They come first because 6.3's thread
    // sanitizer takes a book's first word for an address when one of them is changed in place.
    private let namesStorage = UnsafeMutablePointer<NameArena>.allocate(capacity: 1)
    private let accountsStorage = UnsafeMutablePointer<AccountTable>.allocate(capacity: 1)
    private let pricesStorage = UnsafeMutablePointer<PriceBook>.allocate(capacity: 1)
    private let listsStorage = UnsafeMutablePointer<PatternLists>.allocate(capacity: 1)
    private let correctionsStorage = UnsafeMutablePointer<Corrections>.allocate(capacity: 1)
    private let holdsStorage = UnsafeMutablePointer<HoldTable>.allocate(capacity: 1)
    private let routesStorage = UnsafeMutablePointer<RoutingBook>.allocate(capacity: 1)

    /// The last event folded; 0 in an empty book.
    package internal(set) var seq: UInt64 = 0
    /// That event's time: the next one is never earlier.
    package internal(set) var time = Instant(nanoseconds: 0)
    package internal(set) var epoch: UInt32 = 0
    /// What any org wants stored as commitments: one look tells that none does.
    package internal(set) var personal: PersonalFields = []

    var names: NameArena {
        unsafeAddress { UnsafePointer(namesStorage) }
        nonmutating unsafeMutableAddress { namesStorage }
    }
    var accounts: AccountTable {
        unsafeAddress { UnsafePointer(accountsStorage) }
        nonmutating unsafeMutableAddress { accountsStorage }
    }
    var prices: PriceBook {
        unsafeAddress { UnsafePointer(pricesStorage) }
        nonmutating unsafeMutableAddress { pricesStorage }
    }
    var lists: PatternLists {
        unsafeAddress { UnsafePointer(listsStorage) }
        nonmutating unsafeMutableAddress { listsStorage }
    }
    var corrections: Corrections {
        unsafeAddress { UnsafePointer(correctionsStorage) }
        nonmutating unsafeMutableAddress { correctionsStorage }
    }
    var holds: HoldTable {
        unsafeAddress { UnsafePointer(holdsStorage) }
        nonmutating unsafeMutableAddress { holdsStorage }
    }
    var routes: RoutingBook {
        unsafeAddress { UnsafePointer(routesStorage) }
        nonmutating unsafeMutableAddress { routesStorage }
    }

    /// What the daemon must append by itself at an instant; rebuilt when a checkpoint is read.
    var schedule = Schedule()
    var overrides = OverrideTable()
    /// Of the orgs that have any, in the order of their first grants.
    var credits: [CreditLedger] = []
    /// Every org's terms, in the order in which they were set.
    var billings: [BillingTerms] = []
    var operators: [OperatorRow] = []
    /// Where each epoch began, in order; tells a hold that ended long ago from one that was lost.
    var epochs: [EpochStart] = []
    /// Admin events by their caller's id.
    var documents: [String: DocumentMemory] = [:]  // unordered: never iterated
    var documentIDs: [String] = []

    package init() {
        namesStorage.initialize(to: NameArena())
        accountsStorage.initialize(to: AccountTable())
        pricesStorage.initialize(to: PriceBook())
        listsStorage.initialize(to: PatternLists())
        correctionsStorage.initialize(to: Corrections())
        holdsStorage.initialize(to: HoldTable())
        routesStorage.initialize(to: RoutingBook())
    }
    deinit {
        namesStorage.deinitialize(count: 1)
        namesStorage.deallocate()
        accountsStorage.deinitialize(count: 1)
        accountsStorage.deallocate()
        pricesStorage.deinitialize(count: 1)
        pricesStorage.deallocate()
        listsStorage.deinitialize(count: 1)
        listsStorage.deallocate()
        correctionsStorage.deinitialize(count: 1)
        correctionsStorage.deallocate()
        holdsStorage.deinitialize(count: 1)
        holdsStorage.deallocate()
        routesStorage.deinitialize(count: 1)
        routesStorage.deallocate()
    }
}

struct OperatorRow {
    var name: String
    var role: Role
    /// The org or team it is confined to; none for the whole ledger.
    var account: AccountNumber
    var digest: [UInt8]
    var isRevoked: Bool
}

struct EpochStart {
    var epoch: UInt32
    var seq: UInt64
}

struct DocumentMemory {
    var seq: UInt64
    /// Of the payload as it was asked for.
    var asked: UInt64
}

extension Book {
    package var accountCount: Int { accounts.rows.count }
    package var modelCount: Int { prices.models.count }
    package var openHolds: Int { holds.openCount }
    package var rememberedHolds: Int { holds.ended.count + holds.charges.count }

    package func path(of account: AccountNumber) -> Bytes? {
        account.raw < UInt32(accounts.rows.count)
            ? names[accounts.rows.pointer(account.raw).pointee.name] : nil
    }
    package func name(of model: ModelNumber) -> Bytes? {
        model.raw < UInt32(prices.models.count)
            ? names[prices.models.pointer(model.raw).pointee.name] : nil
    }
}
