"""Every limit in one place, each with its reason. Sizes in bytes, times in seconds unless the name says otherwise."""

from __future__ import annotations

# Records
INTEGER_MAX = 2**53  # JSON numbers are exact only up to here (RFC 8785, I-JSON)
ENTRY_BYTES_MAX = 65_535  # a tlog-tiles entry has a 16-bit length
HEADER_BYTES_MAX = 16_384  # far above the 600 bytes that a header takes; leaves room for unknown fields
BODY_BYTES_MAX = 65_536  # DESIGN: larger parts are cut, with their size and digest kept
SLOT_BYTES_MAX = BODY_BYTES_MAX + 64  # form, key id and the AES-GCM tag on top of a body
NESTING_MAX = 32  # depth of JSON that we accept; deeper input is an attack on the decoder
TAGS_MAX = 32  # tags in a header; beyond it the overflow flag is set
ID_CHARS_MAX = 200  # system ids, group ids, policy names

# Ledger
BATCH_RECORDS_MAX = 4_096  # one producer's batch
GROUP_BYTES_MAX = 8 * 1024 * 1024  # one journal frame: what one fdatasync makes durable
QUEUE_RECORDS_MAX = 65_536  # drafts waiting for the sequencer; beyond it producers are refused
QUEUE_BYTES_MAX = 64 * 1024 * 1024  # bytes waiting for the sequencer; beyond it producers are refused
HEADER_BYTES_TYPICAL = 640  # what a header counts for while it is not encoded yet
SEGMENT_BYTES = 64 * 1024 * 1024  # a journal segment, zero-filled ahead in steps
PREALLOCATE_BYTES = 512 * 1024  # one step of zero-filling: saves fdatasync the file's new length, in a few ms
PUBLISH_INTERVAL_S = 1.0  # a checkpoint at least this often while there is something new
CLOCK_INTERVAL_S = 600.0  # a clock record at least this often
CLOCK_STEP_NS = 10_000_000  # wall against monotonic: ten times what reading both may take; more is a step
CLOCK_READ_NS = 1_000_000  # wall and monotonic time count as read at once within this
CLOCK_READS_MAX = 5  # tries for that; a machine that interrupts each is so busy that a false step is its least trouble
CLOCK_GROWTH_PPB = 500_000  # the kernel lets its own bound grow by 500 ppm while nobody corrects it (MAXFREQ)
CLOCK_FREQUENCY_PPB = 10_000  # a change of rate beyond what following a time source does between two records
CLOCK_SETTINGS_WAIT_S = 10.0  # between two records of settings that flap; losing synchronisation never waits
CLOCK_ASK_TIMEOUT_S = 0.1  # chronyd answers on the loopback in microseconds; it is asked every second
CLOCK_ASK_AGAIN_S = 60.0  # after it did not: whoever asks is the publisher, and has other work
STREAMS_MAX = 4_096  # open producer streams
LOCK_BYTES_MAX = 32  # the pid in the lock file
SECRET_BYTES_MAX = 65_536  # a file of keys
ZERO_FILL_FRAME_BYTES_MAX = 16 * 1024  # longer frames are not filled for: the zeros would double what is written
GAP_STREAMS_MAX = 1_000  # dead streams named in one log.gap: 35 KiB of its body
RUNS_KEPT_MAX = 64  # batches of one stream whose numbers a later draft may name
CONTEXTS_KEPT_MAX = 16  # newest contexts of one actor and system that an access may name
PUBLISH_EARLY_BYTES = 16 * 1024 * 1024  # unpublished bytes that make the publisher start before its second is over
UNPUBLISHED_BYTES_MAX = 128 * 1024 * 1024  # held in memory until published; beyond it the writer waits
BUILD_APART_RECORDS = 4_096  # published at once: from then on by a process of its own, 0.2 s to start and 29 MiB
BUILDER_END_S = 10.0  # for that process to be gone once its pipe is closed; it looks at nothing else
LOCK_WAIT_S = 10.0  # for what a killed writer left running to be gone; it ends as soon as it is told
BUNDLES_CACHED_MAX = 64  # bundles, entries and slots, that one reader keeps: about 20 MiB
TEMPLATES_MAX = 4_096  # shapes of headers that are kept ready: one for each actor, system and kind that are active
KINDS_KEPT = 65_536  # newest records whose kinds are in memory, a byte each; older ones are looked up in the log
SNAPSHOT_RECORDS = 65_536  # records between two snapshots of what stands open: folding so many takes half a second
SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024  # DIR/standing: 7 million ended streams; beyond it the log is folded anew
SEGMENTS_KEPT = 4  # whole journal segments that stay although all in them is published: the newest, 256 MiB
PARTIALS_LOOKED_BACK = 2_000  # full tiles looked at for partials that a crash left: more than one publication covers
READ_TRIES_MAX = 3  # of a journal that somebody else is writing at the same time
GC_RECORDS_MIN = 64  # a group this large is sealed with the cyclic collector off: it doubles the cost otherwise
RECEIPT_PUBLISH_WITHIN_S = 600  # promised from acceptance to publication: a second, and a restart after a crash
RECEIPT_GROUPS_KEPT = 4_096  # newest group commits that receipts can be had for: seconds under the highest load
RECEIPT_TREES_CACHED = 16  # promises signed lately, with their trees: those who ask together ask for the same
RECEIPT_BYTES_MAX = 65_536  # of a receipt's file: a leaf, at most 63 hashes, and a note of a few lines

# Time proofs
TIMESTAMP_BYTES_MAX = 32_768  # of an authority's answer, its certificates included; in base64 it must fit a body
AUTHORITY_FILE_BYTES_MAX = 1024 * 1024  # a PEM file of certificates; a whole bundle of roots is a quarter of that
AUTHORITIES_MAX = 16  # time-stamp authorities of one log; more prove nothing more
TIMESTAMP_INTERVAL_S = 3_600  # between two tokens of one authority unless configured: public ones ask for moderation
TIMESTAMP_INTERVAL_MIN_S = 60  # as often as the configuration may ask for; each token is a record of 6 KiB
TIMESTAMP_INTERVAL_MAX_S = 7 * 86_400  # as seldom; longer ones leave a week in which nothing is proven
TIMESTAMP_TIMEOUT_S = 20.0  # one question and its whole answer
TIMESTAMP_RETRY_S = 30.0  # after the first failure; each further one doubles it, up to the interval
ANCHOR_SCAN_MAX = 1_024  # last records that a reader looks through for the newest anchor
ANCHORS_WALKED_MAX = 64  # anchors read to find those around one record: a day of two authorities and more
CLOCKLESS_MAX = 256  # records in a row without a clock that are passed over to find one
CLOCK_NOTES_WALKED_MAX = 2_016  # clock records read to see that a clock was not set between two events: two weeks
CLOCK_NOTES_SOUGHT_MAX = 4_096  # records read for a machine's next clock record, where several machines note theirs
CLOCK_NOTES_KEPT_MAX = 4_096  # of them, read once, that one server remembers: 200 bytes each
STAMPS_KEPT_MAX = 1_024  # verified tokens that one server remembers, 2 ms of work each
TOKEN_SECOND_NS = 1_000_000_000  # a token's time is read to the second below; also what an unstated accuracy counts as
TOKEN_ACCURACY_NS_MAX = 86_400_000_000_000  # an authority that is not sure of the day proves nothing

# Tiles
TILE_WIDTH = 256  # C2SP tlog-tiles
PROOF_HASHES_MAX = 63  # C2SP: enough for any tree of 2^63 leaves
TREE_SIZE_MAX = 2**63 - 1  # C2SP clients keep sizes in signed 64-bit integers
TILE_LEVEL_MAX = 63  # C2SP tlog-tiles: a path names a level from 0 to 63
TILE_BYTES_MAX = TILE_WIDTH * 32  # a full tile: 256 SHA-256 hashes
BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)  # a full entry bundle of the longest entries
NOTE_BYTES_MAX = 1_000_000  # as Go's sumdb/note, so both sides refuse the same
NOTE_NAME_BYTES_MAX = 1_024  # of a key's name and of an origin; real ones are below 100
TILES_CACHED_MAX = 64  # tiles that one proof reader keeps: two proofs in a tree of 2^63 leaves touch fewer

# Witnesses
POLICY_BYTES_MAX = 262_144  # a policy file: 64 witnesses with ML-DSA keys of 1.8 KB each, and words about them
POLICY_ENTRIES_MAX = 64  # logs, witnesses and groups, each; C2SP asks for 32 at least
WITNESS_REQUEST_BYTES_MAX = 16_384  # C2SP logs send less than 10 KiB: 63 hashes and a note of a few lines
WITNESS_ANSWER_BYTES_MAX = 16_384  # cosignature lines: an ML-DSA-44 one takes 3.3 KB
WITNESS_BODY_TIMEOUT_S = 10.0  # for 16 KiB to arrive at a witness
WITNESS_CONNECT_TIMEOUT_S = 3.0  # a witness that has not answered the connection by then is down
WITNESS_TIMEOUT_S = 10.0  # one whole exchange with a witness, which syncs a disk and signs
WITNESS_TRIES_MAX = 3  # of one checkpoint: a wrong guess of what it saw, its size, and one that came in between
PLACE_GUARD_S = 5.0  # at a start, for all places together to say what they hold; beyond it the log starts unguarded
PLACE_ROUND_S = 5.0  # all places are given one checkpoint; beyond it the next round begins without the slow ones
PLACE_RETRY_S = 1.0  # after a place's first failure; doubles with each further one
PLACE_RETRY_S_MAX = 60.0  # between two tries of a place that is down: a minute late once it is back
SIGNER_LINE_BYTES_MAX = 65_536  # to or from the agent that holds the key: a rotation of ML-DSA-44 keys takes 20 KB
SIGNER_TIMEOUT_S = 5.0  # one exchange with that agent, which syncs a disk and signs
WITNESS_LOGS_BYTES_MAX = 262_144  # the list of logs that one witness follows: 2,000 of them; read at each request

# Archives
ARCHIVE_PATH_BYTES_MAX = 1_024  # a path inside an archive; ours are below 100
ARCHIVE_DEPTH_MAX = 16  # folders below each other; a log of 2^63 entries has 8
WEB_REDIRECTS_MAX = 5  # on the same host; beyond it the server loops
WEB_CONNECT_TIMEOUT_S = 10.0  # a host that has not answered by then is down
WEB_READ_TIMEOUT_S = 30.0  # between two reads
WEB_FILE_TIMEOUT_S = 300.0  # one whole file: a server that drips cannot hold a verifier for ever
NOTE_SIGNATURES_MAX = 100  # Go clients reject more
KEY_ROTATIONS_MAX = 10_000  # of one log: more than one a day for a working life
ROTATION_SIZES_BYTES_MAX = KEY_ROTATIONS_MAX * 21  # the list of them: 20 digits and LF each
FORMER_KEYS_BYTES_MAX = 32 * 1024 * 1024  # all former public keys; an ML-DSA-44 one has 1.8 KB

# State
HEARTBEAT_S_MIN = 1  # of a source that declares a heartbeat; more often would fill the log
HEARTBEAT_S_MAX = 7 * 86_400  # a source that is silent for longer is not watched by a heartbeat
HEARTBEAT_TOLERANCE_S_MIN = 5  # beyond the heartbeat: a restart of a producer, a slow disk
SOURCES_MAX = 1_024  # names of sources that are followed; an organisation has dozens
CHANGE_OBJECTS_MAX = 200  # objects in one change: it must fit one body
OBJECT_BYTES_MAX = 32_768  # canonical bytes of one object's value
GROUP_NESTING_MAX = 16  # organisations nest less than ten deep; bounds the walk over memberships
POLICIES_MAX = 1_000  # one decision over 2,000 takes milliseconds; beyond this, split by scope
POLICY_TEXT_BYTES_MAX = 16_384  # the engine frees long chains of `.` recursively: this much is safe on 8 MiB of stack
BRACKETS_DEPTH_MAX = 32  # the engine's parser takes more than 10 KiB of stack a level and does not survive its end
OBJECT_TEXT_CHARS_MAX = 1_024  # a description, a reason, an attribute
OBJECT_LIST_MAX = 128  # attributes, settings, key columns of one object
ROWS_CAPTURED_MAX = 1_000  # N of the setting `rows:N`
RETENTION_DAYS_MAX = 36_500  # a century
FACT_CHARS_MAX = 1_024  # one fact, as text, that policies are asked with
FACT_LIST_MAX = 256  # members of one fact: more than tables and columns of a statement
REQUESTS_MAX = 256  # requests decided together: more than objects in a change and tables of a statement
DETERMINING_MAX = 128  # determining policies named in one authorization: it must fit a body
DECISION_ERRORS_MAX = 32  # evaluation errors kept in one authorization; one suffices to deny
DECISION_ERROR_CHARS_MAX = 300  # of one evaluation error: the policy and the place, not a dump
POLICY_SETS_SHARED_MAX = 4_096  # parsed sets of policies in one answer about many people; a policy takes a few KiB
DECISIONS_CACHED_MAX = 1_024  # of one decider; one holds up to 16 requests and their facts
APPLY_FILE_BYTES_MAX = 4 * 1024 * 1024  # a folder of policies and people is below 1 MiB; bounds what YAML may expand
STATE_PROOF_CHANGES_MAX = 50_000  # changes in the interval of one proof of state; longer ones are proved in parts
STATE_PROOF_BYTES_MAX = 64 * 1024 * 1024  # of its file: 50,000 changes with a header of 500 bytes and what they touch
STATE_PROOF_NOTE_BYTES_MAX = 32_768  # of a checkpoint that a proof is asked under: it travels in an address

# PostgreSQL gateway
STARTUP_BYTES_MAX = 10_000  # as PostgreSQL itself: MAX_STARTUP_PACKET_LENGTH
AUTH_MESSAGE_BYTES_MAX = 65_536  # as PostgreSQL itself before authentication
STATE_WAIT_S = 10.0  # for the live state to apply a change that is durable already
SESSION_DRAIN_S = 10.0  # at shutdown, for sessions to be recorded to their end
SQL_CACHE_MAX = 10_000  # statement shapes whose meaning is kept
MESSAGE_BYTES_MAX = 64 * 1024 * 1024  # one message of a client; PostgreSQL itself allows 1 GiB
UPSTREAM_MESSAGE_BYTES_MAX = 1024**3  # one message of a server: PostgreSQL's own bound; long rows come in pieces
ARRAY_DECODE_BYTES_MAX = 65_536  # of a binary array shown as text; longer ones stay hexadecimal
SCRAM_ITERATIONS_MAX = 1_000_000  # asked of us by an upstream: about 0.4 s of work; more would stop the gateway
LOGIN_TIMEOUT_S = 60.0  # as PostgreSQL's authentication_timeout
UPSTREAM_CONNECT_TIMEOUT_S = 10.0  # a client waits this long before it is told that the database is down
STATEMENT_TEXT_BYTES_MAX = 16_384  # of a statement kept in a body; beyond it the size and digest stand for the rest
PARAMETER_TEXT_BYTES_MAX = 1_024  # of one parameter kept in a body
PARAMETERS_KEPT_MAX = 64  # parameters of a statement kept in a body: 64 of 1 KiB fill it
STATEMENT_PARSE_BYTES_MAX = 65_536  # longer statements are not parsed: classed as the most sensitive
IDENTIFIER_BYTES_MAX = 63  # PostgreSQL cuts names here (NAMEDATALEN - 1)
SQL_NESTING_MAX = 20  # parentheses, CASEs and prefix operators in one another; the parser recurses
SQL_TERMS_MAX = 8_192  # of one statement, not counting plain lists of values; the parser takes 50 µs for each
SQL_STATEMENTS_MAX = 1_000  # in one text; each is parsed
SQL_SHAPE_CHARS_MAX = 8_192  # a longer shape is read anew each time: memory stays below SQL_CACHE_MAX times this
TABLES_MAX = 64  # tables of one statement; more count as not understood
COLUMNS_MAX = 64  # columns of one statement kept in a body
SUBJECTS_MAX = 32  # data subjects in a body; beyond it the overflow flag is set
HOLD_BYTES_MAX = 1024 * 1024  # an answer held until its record is durable; beyond it an intent goes first
PREPARED_MAX = 4_096  # prepared statements and portals of one session
SESSIONS_MAX = 1_000  # clients of one gateway at a time, ten times PostgreSQL's default
PIPELINE_MESSAGES_MAX = 65_536  # messages of one client waiting for their answers
CONFLICTS_MAX = 20  # attempts to record under a state that moves on meanwhile
AFTER_QUEUE_MAX = 10_000  # records waiting under the guarantee `after`

# Watching an upstream
WATCH_INTERVAL_S = 30  # between two looks at an upstream, unless configured: 10 ms of its time each
WATCH_INTERVAL_MIN_S = 1  # as often as the configuration may ask for
WATCH_INTERVAL_MAX_S = 3_600  # as seldom; who connects directly and leaves between two looks is not seen
WATCH_ANSWER_S = 60.0  # a large catalogue on a busy machine; no login waits for it this long
WATCH_LOGIN_WAIT_S = 3.0  # a login waits this long for a look, where an earlier one succeeded
DRIFT_EXPLAIN_S = 3_600  # a statement this long before a drift may explain it: its transaction may have been open
DRIFT_EXPLAIN_RECORDS_MAX = 50_000  # records walked back for that
DRIFT_TOLD_MAX = 200  # statements and changes compared with a drift, the newest
DRIFT_LINE_CHARS_MAX = 500  # of what changed, and of it before and after: policies are long
DRIFT_LINES_BYTES_MAX = 20_480  # of all lines of one drift: with an object of 32 KiB they fit a body
DIRECT_RECORDED_MAX = 100  # direct connections recorded at one look; a storm of more is worked off at the next ones
DIRECT_LISTED_MAX = 1_000  # backends past us that one look reads, beside ours: ten times PostgreSQL's default for all
TELL_INTERVAL_S = 1.0  # between two looks whether open sessions have to be told something: changes come in bursts
TOLD_LINES_MAX = 20  # of one notice to an open session

# Reconciling with the database's own log
SERVER_LOG_LINE_CHARS_MAX = 1024 * 1024  # of one event; what is longer is cut, and then matches nothing
SERVER_LOG_EVENTS_MAX = 1_000_000  # of one run: about a gigabyte of memory; give fewer files at a time
RECONCILE_TOLERANCE_S = 5  # between the two clocks and until a session's end is recorded, unless told otherwise
RECONCILE_TOLERANCE_S_MAX = 3_600  # beyond it nothing could be told apart
RECONCILE_SHOWN_MAX = 100  # connections, and statements of each, that an answer lists; the rest is counted

# HTTP
HTTP_BODY_BYTES_MAX = 8 * 1024 * 1024  # twice the largest apply file, as JSON
TIMELINE_LIMIT_MAX = 10_000  # records in one answer; whoever wants more exports or pages

# Console
CONSOLE_LINK_S = 600  # a link that lets somebody in once: time to carry it from a terminal to a browser
CONSOLE_IDLE_S = 1_800  # without a request a session ends: whoever left the desk is back, or the screen is anybody's
CONSOLE_SESSION_S = 43_200  # a session ends however busy it is: a working day, so a stolen one is gone by the next
CONSOLE_SESSIONS_EACH_MAX = 8  # sessions of one person at a time; a ninth ends the oldest: browsers that were forgotten
CONSOLE_SECRET_CHARS_MAX = 64  # of a link or a session's id: 32 random bytes as hex
CONSOLE_FORM_BYTES_MAX = 4_096  # of a form: ours have a token and nothing long
CONSOLE_READY_FRESH_S = 30  # the line on top of each page repeats what `ready` found so long: it reads a week of gaps
CONSOLE_ROWS = 100  # records on a page of the timeline: two lines each, some 60 kB
CONSOLE_NEIGHBOURS = 3  # records shown before and after one: enough to see what came between whom

# Verify
VERIFY_FINDINGS_MAX = 100  # kept for each duty; the rest is counted: a verdict must stay readable
VERIFY_REASONS_MAX = 20  # reasons and erased records named for each duty; the rest is counted
VERIFY_KEPT_MAX = 1_000  # checkpoints kept elsewhere in one verification
VERIFY_BESIDE_MAX = 1_000  # checkpoints beside the log, the newest: six weeks of one an hour
VERIFY_KEY_FILE_BYTES_MAX = 65_536  # a file of verifier keys or body keys
VERIFY_DECIDERS_MAX = 256  # contexts prepared for deciding again that are held at once
VERIFY_STATES_MAX = 1_024  # earlier states held for decisions made before they were recorded (guarantee `after`)
VERIFY_UNDER_WAY_S = 60  # a statement may have begun this long before the change that its record finds
FSCK_FAULTS_MAX = 1_000  # kept of an examination; the rest is counted: whoever reads them begins with the first
VERIFY_BEYOND_MAX = 10_000  # paths beyond the checkpoint that are remembered
VERIFY_SIEVE_MEMORY_MAX = 4_096  # parts of bodies, shapes, cases remembered by each sieve: a few MiB
VERIFY_SIEVE_PART_BYTES_MAX = 4_096  # of a remembered part; longer ones hardly repeat
VERIFY_IDS_UNPACKED_MAX = 65_536  # record ids held as sets, about 100 bytes each, before all but the newest are packed
VERIFY_ALONE_BUNDLES = 40  # sifted before processes are started: 10,000 records take as long as starting them
VERIFY_WORKERS_MAX = 4  # processes that sift; what the command itself does for each record bounds more of them
VERIFY_AHEAD_MAX = 2  # bundles given to each of them ahead: one at work, one at hand
VERIFY_WORKER_END_S = 10.0  # for a killed process to be gone
VERIFY_WORKER_SWITCH_S = 0.0005  # between sifting and receiving the next bundle, which is short
PIPE_BYTES = 1024 * 1024  # as much as Linux gives everybody; two bundles of ordinary records fit
BODY_BUNDLE_BYTES_MAX = TILE_WIDTH * (4 + SLOT_BYTES_MAX)  # a full bundle of the longest bodies

# Configuration and commands
CONFIG_BYTES_MAX = 1024 * 1024  # affidavit.toml; real ones are below a kilobyte
CONFIG_ENTRIES_MAX = 64  # gateways, and folders outside
URL_CHARS_MAX = 2_000  # what browsers and proxies pass on
SOCKET_PATH_BYTES_MAX = 107  # sun_path of Linux, without its NUL
APPLY_FILES_MAX = 1_000  # files in a folder given to apply
QUERY_CHARS_MAX = 2_000  # a timeline query
QUERY_TERMS_MAX = 64  # terms of one query: longer ones are not typed by people
QUERY_DEPTH_MAX = 16  # parentheses and NOTs in one another; reading and answering recurse
SEARCH_VOLUME_RECORDS = 262_144  # in one volume of the index: built again in some 100 s where a body was erased
SEARCH_HEAP_BYTES = 64 * 1024 * 1024  # of the writer of the index, before it writes a segment
SEARCH_RECENT_RECORDS = 8_192  # the newest, held in memory and read again at a start, in some 3 s
SEARCH_RECENT_HEAP_BYTES = 16 * 1024 * 1024  # of the writer of those; tantivy takes no less than 15 MB
SEARCH_PAGE_MIN = 64  # candidates that a volume is asked for at first, somewhat more than a page of a timeline
SEARCH_PAGE_MAX = 4_096  # and at most at once: where the index promises little, each is read and judged
SEARCH_TERMS_CACHED_MAX = 200_000  # terms of the index kept with what they stand for: 30 MB
SEARCH_TEXTS_CACHED_MAX = 4_096  # texts whose terms are kept, as statements repeat; 1,024 characters each, so 35 MB
SEARCH_STAND_BYTES_MAX = 1024 * 1024  # of the file that names the files of a volume: 150 bytes each, below a hundred
SEARCH_BITS_MAX = 64  # binary digits of a number in a record; ours are below 2^53
SEARCH_RUNS_ASKED_MAX = 32  # parts of a searched text that the index is asked for; the record tells the rest
REPLAN_MAX = 5  # times that a change is planned again because the state moved on meanwhile
BREAK_GLASS_S_MAX = 12 * 3_600  # an emergency lasts a night's shift; who needs longer asks for an ordinary grant
GRANT_SECONDS_MAX = 366 * 86_400  # a grant by the command line; longer ones are declared and reviewed
APPROVERS_TRIED_MAX = 200  # people asked of policy whether they could approve what it refused, about 0.3 ms each
READ_TOLD_EVERY = 500  # records of a long reading between two words of how far it has got
FACET_VALUES_MAX = 10_000  # different values of a field that are counted at once: 2 MB, and nobody reads more
HISTOGRAM_STEPS_MAX = 1_000  # steps of time that are told: more than a screen is wide
SCAN_RECORDS_MAX = 50_000  # records that one request reads to find what it asks for; it says where to go on
STATE_NAMES_CACHED_MAX = 8_192  # names of objects with their parts and paths: a change asks for its own several times
ROOTS_APART_MIN = 5_000  # changes from which on a log is folded by two processes: starting one takes as long as 1,000
ROOTS_BATCH = 256  # changes handed over at once to the process that hashes
ROOTS_BATCHES_AHEAD = 16  # batches that wait for it at most: some 10 MB
HISTORY_BUCKETS = 4_096  # of the history store: with a million objects 250 of them lie in one, read in 0.3 ms
HISTORY_CLOSED_MAX = 128  # closed rows that a bucket keeps; more move to a chunk, which few questions have to read
HISTORY_CACHED_MAX = 512  # buckets and chunks of the history store kept in memory: some 100 KB each in a large one
HISTORY_COMMIT_CHANGES = 50_000  # changes between two commits of a history store that is built: 200 MB in memory
HISTORY_WAIT_S = 10.0  # for the live state to apply a change that the log holds already
STATE_CHANGES_MAX = 20_000  # changes between two moments that are compared: some seconds of reading
PERMITTED_CHANGES_MAX = 500_000  # changes read to find when what somebody may do changed: half a minute, with progress
PERMITTED_MOMENTS_MAX = 5_000  # such moments in one answer: no person reads more
STANDING_OBJECTS_MAX = 64  # objects whose share of a period is asked together: what configures one control
STATE_OBJECTS_MAX = 20_000  # objects in one answer about the state
CONTEXT_VIEWS_MAX = 4_096  # contexts kept ready: one for each actor and system that are active
FINDINGS_DECIDERS_MAX = 64  # states that accesses are decided again under: those of the last few changes
FINDINGS_FOLLOWED_MAX = 10_000  # changes, permissions in use and lapsed grants kept while findings are computed: 20 MB
FINDINGS_LAPSES_LOOKED_MAX = 2_000  # changes looked back through for lapses before the stretch: under a second
FINDINGS_PEOPLE_MAX = 10_000  # people on a system, and contexts, kept apart while findings are computed
WHO_ERASED_MAX = 100  # erased records named in an answer to who did; the rest is counted
FINDINGS_SHOWN_MAX = 10  # records named among those that could not be looked at
GAPS_LOOK_BACK_DAYS = 7  # gaps that `ready` lists: since the last weekly look
GIVERS_MAX = 8  # services that gave each other their credentials, followed back to a human
EXPLAIN_LOOK_BACK_MAX = 100_000  # records that explain walks back to find the context before
REASON_CHARS_MAX = 1_000  # a reason or ticket that people type
FOLLOW_QUEUE_MAX = 10_000  # records that wait for a slow follower of the timeline; beyond it the follower is cut off
EXPORT_PAGE_RECORDS = 500  # records read at a time while streaming
PUBLIC_CONNECTIONS_MAX = 256  # of readers of the public log: a quarter of the descriptors that Linux gives a process
PUBLIC_REQUEST_BYTES_MAX = 65_536  # of one request to the public log, head and all; real ones are below 4 KiB
PUBLIC_REQUEST_TIMEOUT_S = 60.0  # from one answer to the end of the next: a full bundle on 1 Mbit/s takes half of it
PUBLIC_READERS_MAX = 2  # threads that read and compress for the public: the gateway's work goes first
HTTP_CONCURRENCY_MAX = 64  # HTTP requests served at the same time on the local socket
TOKEN_CHARS_MAX = 200  # a bearer token; ours have 47
FOLDER_CHECKPOINTS_MAX = 10_000  # checkpoints kept in one outside folder; a year at one an hour
