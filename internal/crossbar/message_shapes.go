package crossbar

import "net/http"

// messageShapes describe the operations on messages.
func messageShapes() map[string]shape {
	message := objectOf(with(textKeys("media_id", "call_id", "caller_id_name", "caller_id_number", "from", "to"),
		map[string]any{"folder": map[string]any{"enum": []any{"new", "saved", "deleted"}}, "timestamp": typed("integer"),
			"length": typed("integer"), "transcription": typed("object"), "_read_only": typed("object")}), "media_id", "folder", "timestamp", "length")
	id := map[string]any{"type": "string", "description": "Id of a message"}
	ids := map[string]any{"messages": listOf(id)}
	outcome := objectOf(map[string]any{"succeeded": listOf(typed("string")), "failed": listOf(typed("object"))}, "succeeded", "failed")
	change := map[string]any{"folder": map[string]any{"enum": []any{"new", "saved", "deleted"}},
		"source_id": map[string]any{"description": "A box to move to, or a list of boxes to copy into",
			"anyOf": []any{typed("string"), listOf(typed("string"))}}}
	return map[string]shape{
		"GET messages":                        {summary: "List the messages of all boxes, each under the id of its box", paged: true, revised: true, gives: listOf(typed("object"))},
		"GET {id}/messages":                   {summary: "List the messages of a box, the latest first", paged: true, revised: true, gives: listOf(message)},
		"PUT {id}/messages":                   {summary: "Deposit a message", status: http.StatusCreated, takes: refTo("mailbox_message"), gives: message, example: map[string]any{"caller_id_name": "Grace Hopper", "caller_id_number": "+14155550100"}},
		"POST {id}/messages":                  {summary: "Change, move or copy messages", takes: objectOf(with(change, ids), "messages"), gives: outcome},
		"DELETE {id}/messages":                {summary: "Delete the messages that are named, of a folder, or all", gives: outcome},
		"GET {id}/messages/{message}":         {summary: "One message", gives: message},
		"POST {id}/messages/{message}":        {summary: "Change, move or copy a message", takes: objectOf(change), gives: map[string]any{"anyOf": []any{message, outcome}}, example: map[string]any{"folder": "saved"}},
		"DELETE {id}/messages/{message}":      {summary: "Delete a message", gives: message},
		"GET {id}/messages/{message}/history": {summary: "Who did what to a message over the API, newest first", paged: true, revised: true, gives: listOf(typed("object"))},
		"GET {id}/messages/{message}/raw":     {summary: "Download the audio of a message", revised: true, gives: map[string]any{}},
		"PUT {id}/messages/{message}/raw":     {summary: "Upload the audio of a message", gives: message},
	}
}
