package crossbar

// Document types as they stand in the store. An account's document is kept in the account itself: its AccountID is its
// ID.
const (
	TypeAccount   = "account"
	TypeUser      = "user"
	TypeDevice    = "device"
	TypeCallflow  = "callflow"
	TypeDirectory = "directory"
	TypeMenu      = "menu"
	TypeMedia     = "media"

	TypePhoneNumber      = "phone_number" // the id is the number in E.164
	TypeGroup            = "group"
	TypeTemporalRule     = "temporal_rule"
	TypeTemporalRulesSet = "temporal_rule_set"
	TypeConference       = "conference"
	TypeBlacklist        = "blacklist"
	TypeList             = "list"
	TypeListEntry        = "list_entry"
	TypeMailbox          = "vmbox"
	TypeFaxbox           = "faxbox"
	TypeClickToCall      = "click2call"
	TypeResource         = "resource"        // a carrier trunk of an account
	TypeGlobalResource   = "global_resource" // a carrier trunk of all accounts, kept in the master account
	TypeWebhook          = "webhook"
	TypeSite             = "site"
	TypeOAuthApp         = "oauth_app"
	TypeJWTCredential    = "jwt_credential"
)

// Spaces of unique keys. The scope is the account id unless said otherwise.
const (
	KeyRealm    = "account.realm"   // scope "": the SIP realm, lower case
	KeyName     = "account.name"    // scope "": the name's letters and digits, lower case
	KeyAPIKey   = "account.api_key" // scope "": SHA-256 of the API key, hexadecimal
	KeyMaster   = "account.master"  // scope "", value "master": the master account
	KeyUsername = "user.username"   // lower case
	KeyHotdesk  = "user.hotdesk.id"
	// KeyCredentialMD5 and KeyCredentialSHA hold the argon2id hash of what user_auth presents.
	KeyCredentialMD5 = "user.credential.md5"
	KeyCredentialSHA = "user.credential.sha"
	KeyReset         = "user.reset"          // scope "": SHA-256 of the reset_id of a recovery, hexadecimal
	KeyOAuthApp      = "oauth_app"           // scope "": the client id
	KeyJWT           = "user.jwt"            // scope "": SHA-256 of a JWT credential, hexadecimal
	KeySIPUsername   = "device.sip.username" // as written
	KeySIPAddress    = "device.sip.ip"       // scope "": netip.Addr.String() of a device with sip.method "ip"
	KeyMAC           = "device.mac_address"  // scope "": 12 hexadecimal digits, lower case
	KeyNumber        = "callflow.number"     // normalised
	KeyPattern       = "callflow.pattern"    // as written
	KeyPhoneNumber   = "phone_number"        // scope "": the number in E.164
	KeyPrompt        = "media.prompt"        // language "/" prompt id, both lower case
	// KeyConferenceNumber is a number that enters a conference, as anybody, a member or a moderator.
	KeyConferenceNumber = "conference.number"
	KeyMailbox          = "vmbox.mailbox" // as written
)

// Indexes of documents.
const (
	IndexParent    = "parent"    // account: the account right above
	IndexAncestor  = "ancestor"  // account: every account above
	IndexOwner     = "owner_id"  // device, callflow, vmbox, conference: the user
	IndexDirectory = "directory" // user, device: each directory that it is listed in
	IndexPatterned = "patterned" // callflow: "1" when it has patterns
	IndexList      = "list_id"   // list_entry: the list
	IndexHook      = "hook"      // webhook: its events
	// IndexE164 finds callflows over all accounts by their numbers that begin with "+".
	IndexE164 = "number.e164"
	// IndexSIPUsername finds a device over all accounts, for a phone whose URIs name an address instead of a realm.
	IndexSIPUsername = "sip.username"
	IndexEmail       = "email"  // user: the e-mail address over all accounts, lower case
	IndexRefers      = "refers" // every document: each id that it names
)

// MasterValue is the only value of KeyMaster.
const MasterValue = "master"

// PrivateBlob is the key of a media document's private part that names its audio in Blobs.
const PrivateBlob = "blob"

// PrivatePhoto is the key of the private part of a user or a list's entry that holds an object with a PrivateBlob of its own: the photo.
const PrivatePhoto = "photo"
