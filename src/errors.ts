/**
 * The one error class and the one code table of gitsign.
 *
 * A code decides the exit status and the default hint, so that a failure is described in one place only.
 * Exit statuses: 1 not verified, 2 usage or configuration, 3 could not be done or checked now, 70 a defect of gitsign.
 *
 * @module
 */

/** What the process exits with for each kind of failure; 0 means signed, or every requested check passed. */
export type ExitStatus = 1 | 2 | 3 | 70

interface CodeEntry {
  readonly exit: ExitStatus
  /** One action that mends it, or undefined where only the message can say it. */
  readonly hint?: string
}

/** Every code gitsign can report. The names are stable: scripts may match on them. */
export const ERROR_CODES = {
  // 1: the object was checked and is not verified
  ERR_NOT_SIGNED: { exit: 1, hint: "sign it with: git commit --amend --no-edit -S" },
  ERR_SIGNATURE_FORMAT: { exit: 1, hint: "gitsign reads only X.509 signatures; use gpg or ssh-keygen for the others" },
  ERR_GIT_OBJECT: {
    exit: 1,
    hint: "look at it with: git cat-file -p OBJECT, and check the repository with: git fsck",
  },
  ERR_DUPLICATE_SIGNATURE: {
    exit: 1,
    hint: "its author can make it again with: git commit --amend --no-edit -S",
  },
  ERR_TAG_NAME: {
    exit: 1,
    hint: "ask whoever runs the repository how the tag came by this name, or its author to tag again",
  },
  ERR_PEM: {
    exit: 1,
    hint: "fetch the object again, or ask its author to sign it anew",
  },
  ERR_DER: { exit: 1, hint: "fetch the object again, or ask its author to sign it anew" },
  ERR_CMS: { exit: 1, hint: "ask its author to sign it anew with gitsign" },
  ERR_CONTENT: {
    exit: 1,
    hint: "get it again from where it was made, or ask its author to sign it anew; do not trust this copy",
  },
  ERR_SIGNER: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_SIGNATURE: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_CERTIFICATE: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_KEY_USAGE: { exit: 1, hint: "ask its author to sign it anew with a certificate for code signing" },
  ERR_CERT_CHAIN: { exit: 1, hint: "if it is from a private Sigstore, name its trusted root with --trusted-root FILE" },
  ERR_UNTRUSTED_CA: {
    exit: 1,
    hint: "gitsign trusts Sigstore certificates only; verify S/MIME signatures with smimesign or gpgsm",
  },
  ERR_SCT_MISSING: {
    exit: 1,
    hint: "certificates from before June 2022 have none; accept them with --insecure-ignore-sct",
  },
  ERR_SCT: {
    exit: 1,
    hint: "do not trust it, unless its CT log is one that you know: name the trusted root with --trusted-root FILE",
  },
  ERR_LOG_ENTRY: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_LOG_UNKNOWN: { exit: 1, hint: "if it is a private log, name its trusted root with --trusted-root FILE" },
  ERR_LOG_PROOF: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_CHECKPOINT: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_LOG_PROMISE: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_LOG_TIME: {
    exit: 1,
    hint: "ask its author to sign it anew",
  },
  ERR_TIMESTAMP: {
    exit: 1,
    hint: "if the timestamp authority is private, name its chain with: git config gitsign.timestampCertChain FILE",
  },
  ERR_TIMESTAMP_TIME: {
    exit: 1,
    hint: "ask its author to sign it anew",
  },
  ERR_NO_TIME: {
    exit: 1,
    hint: "ask its author to sign it anew, with a log or a timestamp authority that proves the time",
  },
  ERR_IDENTITY: { exit: 1, hint: "if this signer is right, name the identity in --certificate-identity" },
  ERR_ISSUER: { exit: 1, hint: "if this issuer is right, name it in --certificate-oidc-issuer" },
  ERR_CLAIM: { exit: 1, hint: "see the claims of the certificate with: gitsign show REV" },
  ERR_COMMITTER: {
    exit: 1,
    hint: "log in as the committer, or turn the check off with: git config gitsign.matchCommitter false",
  },
  ERR_LOOKALIKE: {
    exit: 1,
    hint: "do not trust it; compare the two addresses letter by letter, and name the right one in the policy",
  },
  ERR_SCHEME: { exit: 1, hint: "ask its author to sign it anew with gitsign" },
  ERR_KEY_UNKNOWN: { exit: 1, hint: "if this key is right, put it into the policy" },
  ERR_KEY_EXPIRED: { exit: 1, hint: "ask its author to sign it anew with a key that is in use" },
  ERR_OFFLINE_PROOF: { exit: 1, hint: "sign it again with: git config gitsign.rekorMode offline" },
  ERR_TIMESTAMP_MISSING: { exit: 1, hint: "sign it again with a timestamp authority in gitsign.timestampServerURL" },
  ERR_COMPROMISED: { exit: 1, hint: "do not trust it; ask its author to sign it anew" },
  ERR_NO_RULE: { exit: 1, hint: "add a rule for it to the policy, or say there: otherwise: allow" },
  ERR_POLICY_CHANGE: { exit: 1, hint: "ask somebody to sign it whom the policy in force lets change the policy" },
  ERR_MERGE_CHANGES: {
    exit: 1,
    hint: "have the merge made and signed by a person, or put its changes into a commit of their own",
  },
  ERR_TAG_TARGET: { exit: 1, hint: "tag the commit itself with: git tag -s -f NAME COMMIT" },
  ERR_REPLACED: { exit: 1, hint: "see what shows another object here with: git replace --list, and .git/info/grafts" },
  ERR_DAMAGED: { exit: 1, hint: "fetch it again from a place that you trust, and check with: git fsck" },
  ERR_BUNDLE: { exit: 1, hint: "the bundle is not a Sigstore bundle for a message signature" },

  // 2: the question was wrong
  ERR_USAGE: { exit: 2, hint: "see: gitsign help" },
  ERR_CONFIG: { exit: 2, hint: "see the configuration table with: gitsign help config" },
  ERR_IDENTITY_REQUIRED: { exit: 2 },
  ERR_PATTERN: { exit: 2, hint: "patterns are RE2: https://github.com/google/re2/wiki/Syntax" },
  ERR_TRUSTED_ROOT: { exit: 2, hint: "a trusted root is the trusted_root.json of a Sigstore instance" },
  ERR_POLICY: { exit: 2, hint: "see what is wrong with it: gitsign policy check" },
  ERR_POLICY_OPEN: { exit: 2, hint: "name the signers, or say in the policy that anybody will do: anyone: true" },
  ERR_POLICY_LIMIT: { exit: 2, hint: "a policy is a short text; move what is long into rules with patterns" },
  ERR_POLICY_FILE: { exit: 2, hint: "make it an ordinary file in the repository, no link" },
  ERR_POLICY_MISSING: { exit: 2, hint: "propose one with: gitsign policy init" },
  ERR_REF_REQUIRED: { exit: 2, hint: "say for which branch it is judged with: --ref refs/heads/NAME" },
  ERR_PUBLISHED: { exit: 2, hint: "others may have them already; rewrite them all the same with: --force" },
  ERR_HOOK: { exit: 2, hint: "see: gitsign hook --help" },
  ERR_AGENT_SOCKET: {
    exit: 2,
    hint: "choose a socket in a directory that only you may use",
  },

  // 3: it could not be done or checked now
  ERR_LOG_ENTRY_UNAVAILABLE: {
    exit: 3,
    hint: "this signature keeps its proof only in the log; try again with a network, or sign in offline mode",
  },
  ERR_NETWORK: { exit: 3, hint: "check the network and the proxy settings, then try again" },
  ERR_FULCIO: { exit: 3, hint: "try again; if it stays, check gitsign.fulcio and the status of that service" },
  ERR_REKOR: { exit: 3, hint: "try again; if it stays, check gitsign.rekor and the status of that service" },
  ERR_TSA: { exit: 3, hint: "try again; if it stays, check gitsign.timestampServerURL and the status of that service" },
  ERR_OIDC: { exit: 3, hint: "try again; if it stays, check gitsign.issuer and the status of that service" },
  ERR_NO_TOKEN: { exit: 3, hint: "set SIGSTORE_ID_TOKEN, or run git in a terminal where a browser can be opened" },
  ERR_TOKEN: { exit: 3, hint: "get a new identity token and try again" },
  ERR_TOKEN_EXPIRED: { exit: 3, hint: "get a new identity token; if it is new, check this machine's clock" },
  ERR_CONSENT: {
    exit: 3,
    hint: "nothing was published; run the command again to be asked again, or to log in as somebody else",
  },
  ERR_KEYRING: {
    exit: 3,
    hint: "unlock the keyring of this session, or keep logins elsewhere: git config --global gitsign.credentialCacheMode agent",
  },
  ERR_CANCELLED: { exit: 3, hint: "nothing was signed; run the command again" },
  ERR_SELF_CHECK: {
    exit: 3,
    hint: "nothing was written; a service answered something wrong, or its trusted root is not configured",
  },
  ERR_GIT: { exit: 3, hint: "check the repository with: git fsck" },
  ERR_SHALLOW: { exit: 3, hint: "fetch the rest of the history with: git fetch --unshallow" },
  ERR_TIME_LIMIT: { exit: 3, hint: "try again, with fewer commits at a time or a longer limit" },
  ERR_RESIGN: { exit: 3, hint: "nothing was changed; try again once it is mended" },
  ERR_IO: { exit: 3, hint: "check that the file is there, that you may use it, and that the disk has room" },
  ERR_AGENT: { exit: 3, hint: "see what runs with: gitsign agent status" },
  ERR_AGENT_LOCKED: { exit: 3, hint: "unlock it with: gitsign agent unlock" },
  ERR_AGENT_COLD: { exit: 3, hint: "log in where the agent runs, with: gitsign agent warm" },
  ERR_AGENT_REFUSED: { exit: 3, hint: "nothing was signed; see what the agent holds with: gitsign agent list" },
  ERR_SANDBOX: { exit: 3, hint: "see: gitsign sandbox status" },

  // 70: our own fault
  ERR_BUG: {
    exit: 70,
    hint: "please report it, with the lines above, in the issue tracker of the place that gitsign came from",
  },
} as const satisfies Record<string, CodeEntry>

/** A code of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES

const BRAND = Symbol.for("gitsign.error")

/** The only error that gitsign's own code throws on purpose. */
export class GitsignError extends Error {
  readonly code: ErrorCode
  /** One action, as a sentence without a full stop. */
  readonly hint: string | undefined
  /** Marks the class across bundles: the same source is loaded twice when a lazy part is its own file. */
  readonly [BRAND] = true

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = "GitsignError"
    this.code = code
    const entry: CodeEntry = ERROR_CODES[code]
    this.hint = options.hint ?? entry.hint
  }

  /** The exit status that this error's code stands for. */
  get exitStatus(): ExitStatus {
    return ERROR_CODES[this.code].exit
  }
}

/** Whether `error` is a {@link GitsignError}, also one from another bundle of the same program. */
export function isGitsignError(error: unknown): error is GitsignError {
  return typeof error === "object" && error !== null && BRAND in error
}

/** The message of anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What the codes of the system (errno(3)) mean. */
const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EBADF: "it is closed",
  EBUSY: "something else uses it",
  EDQUOT: "there is no room left for this user",
  EEXIST: "it is there already",
  EFBIG: "it would be too large",
  EIO: "the disk cannot be read or written",
  EISDIR: "it is a directory",
  ELOOP: "its links lead nowhere",
  EMFILE: "this process has too many open files",
  ENAMETOOLONG: "its name is too long",
  ENFILE: "the system has too many open files",
  ENOENT: "there is no such file",
  ENOSPC: "the disk is full",
  ENOTDIR: "it, or a part of its path, is no directory",
  EPERM: "that is not allowed",
  EPIPE: "nobody reads it any more",
  EROFS: "the disk is read-only",
}

/** What an error of the system means, in words and without the path, which the message that it goes into names. */
export function reasonOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""
  return SYSTEM_REASONS[code] ?? messageOf(error)
}
