package crossbar

func faxboxes() *resource {
	return &resource{noun: "faxboxes", typ: TypeFaxbox, schema: "faxboxes",
		about: "bugle neither sends nor receives faxes: a call that reaches a fax box by the callflow modules `faxbox` or `receive_fax` ends with " +
			"488 and `BEARERCAPABILITY_NOTAVAIL`. A fax box says whose the numbers of such a callflow are: the company directory shows them as " +
			"fax numbers of the person `owner_id`.",
		within: map[string]string{"users": IndexOwner}, filtered: map[string]string{"owner_id": IndexOwner},
		summary: picking("name", "owner_id"), summaryKeys: []string{"name", "owner_id", "flags"}, order: byName,
		index: ownerIndex, references: refersTo("owner_id")}
}
