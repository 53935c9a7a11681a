package speech

// Ids of built-in prompts. Those with a hyphen are KAZOO's: recordings that accounts made for KAZOO replace them. Those
// with a dot are bugle's own; prompts/en-us.tsv has the text of every one.
const (
	PromptDirEnterName      = "dir-enter_person_name"
	PromptDirEnterFirstName = "dir-enter_person_firstname"
	PromptDirEnterLastName  = "dir-enter_person_lastname"
	PromptDirMinimum        = "dir-specify_minimum" // composed: Catalogue.SpecifyMinimum
	PromptDirNoResults      = "dir-no_results_found"
	PromptDirFound          = "dir-found"
	PromptDirConfirmMenu    = "dir-confirm_menu"
	PromptDirResultNumber   = "dir-result_number"
	PromptDirResultMenu     = "dir-result_menu"
	PromptDirNoMore         = "dir-no_more_results"
	PromptDirInvalidKey     = "dir-invalid_key"
	PromptDirAtExtension    = "dir.at.extension"

	PromptMenuNoPrompt     = "menu-no_prompt"
	PromptMenuInvalid      = "menu-invalid_entry"
	PromptMenuTransferring = "menu-transferring_call"
	PromptMenuExit         = "menu-exit"
	PromptGoodbye          = "vm-goodbye"
	PromptUnauthorizedCall = "cf-unauthorized_call"
	PromptCannotComplete   = "fault-can_not_be_completed_as_dialed"

	PromptVMPerson       = "vm-person" // the mailbox's digits, then PromptVMNotAvailable
	PromptVMNotAvailable = "vm-not_available"
	PromptVMNoMailbox    = "vm-not_available_no_voicemail"
	PromptVMInstructions = "vm-record_message"
	PromptVMFull         = "vm-mailbox_full"
	PromptVMReview       = "vm-review_recording"
	PromptVMTooShort     = "vm-recording_to_short"
	PromptVMRecorded     = "vm-recording_saved"
	PromptVMSaved        = "vm-saved"
	PromptVMDeleted      = "vm-deleted"
	PromptVMThanks       = "vm-thank_you"
	PromptVMOut          = "vm.disk" // voicemail does not work now

	PromptVMEnterBox     = "vm-enter_id"
	PromptVMEnterPIN     = "vm-enter_pass"
	PromptVMLoginFailed  = "vm-fail_auth"
	PromptVMLoginAborted = "vm-abort"
	PromptVMLocked       = "vm.login.locked"
	PromptVMSetupIntro   = "vm-setup_intro"
	PromptVMSetupGreet   = "vm-setup_rec_greeting"
	PromptVMSetupDone    = "vm-setup_complete"

	PromptVMNone          = "vm-no_messages"
	PromptVMYouHave       = "vm-you_have" // the counts follow
	PromptVMNewMessage    = "vm-new_message"
	PromptVMNewMessages   = "vm-new_messages"
	PromptVMSavedMessage  = "vm-saved_message"
	PromptVMSavedMessages = "vm-saved_messages"
	PromptVMMainMenu      = "vm-main_menu"
	PromptVMMessageMenu   = "vm-message_menu"
	PromptVMMessageNumber = "vm-message_number"
	PromptVMReceived      = "vm-received" // date and time follow
	PromptVMFrom          = "vm.from"
	PromptVMUnknown       = "vm.unknown.caller"
	PromptVMNoMore        = "vm.nomore"
	PromptVMForwardTo     = "vm-enter_forward_id"
	PromptVMForwarded     = "vm.forwarded"
	PromptVMNotForwarded  = "vm-forward_abort"
	PromptVMCallBack      = "vm.callback"
	PromptVMNoCallBack    = "vm.nocallback"

	PromptVMSettings     = "vm-settings_menu"
	PromptVMGreeting     = "vm-record_greeting"
	PromptVMTemporary    = "vm-record_temp_greeting"
	PromptVMTemporaryOff = "vm.temp.off"
	PromptVMName         = "vm-record_name"
	PromptVMNewPIN       = "vm-enter_new_pin"
	PromptVMNewPINAgain  = "vm-enter_new_pin_confirm"
	PromptVMPINSet       = "vm-pin_set"
	PromptVMPINInvalid   = "vm-pin_invalid"

	PromptAnd       = "gen.and"
	PromptAt        = "date.at"
	PromptToday     = "date.today"
	PromptYesterday = "date.yesterday"

	PromptParkPlaced = "park-call_placed_in_spot" // the slot's digits follow
	PromptParkInUse  = "park-already_in_use"
	PromptParkEmpty  = "park-no_caller"
	PromptParkFull   = "feat.park.full"
)

// Parts of composed prompts.
const (
	promptMinimum = "dir.minimum"      // Please enter at least
	promptLetters = "dir.letters"      // letters.
	promptLetter  = "dir.letter"       // letter.
	promptFound   = "dir.found.pre"    // I found
	promptMatches = "dir.found.post"   // matches.
	promptNarrow  = "dir.found.narrow" // matches. Keep typing, or press pound to hear them.
	promptMore    = "dir.found.more"   // more than
)
