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
