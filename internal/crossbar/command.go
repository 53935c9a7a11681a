package crossbar

import (
	"net/http"
	"slices"

	"bugle"
	"bugle/internal/store"
)

// channelActions are what can be done to a leg of a call. KAZOO knows more; what is not listed is refused.
var channelActions = []any{"hangup", "transfer", "callflow"}

// refusedCommand refuses a command in KAZOO's form.
func refusedCommand(message string, cause any) *fault {
	return &fault{status: http.StatusBadRequest, message: "invalid data", data: map[string]any{"message": message, "cause": shown(cause),
		"target": channelActions}}
}

// commandChannel answers POST on a channel.
func (req *request) commandChannel() (*reply, error) {
	c, err := req.channel()
	if err != nil {
		return nil, err
	}
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	return req.command(c, data["action"], data)
}

// metaflowChannel answers PUT on a channel: a node of a metaflow, of which the modules that are actions here are run.
func (req *request) metaflowChannel() (*reply, error) {
	c, err := req.channel()
	if err != nil {
		return nil, err
	}
	data, err := req.object()
	if err != nil {
		return nil, err
	}
	if data["action"] != any("metaflow") {
		return nil, refusedCommand("action of a PUT must be metaflow", data["action"])
	}
	node, _ := data["data"].(map[string]any)
	settings, _ := node["data"].(map[string]any)
	return req.command(c, node["module"], settings)
}

func (req *request) command(c Channel, action any, data map[string]any) (*reply, error) {
	var err error
	switch action {
	case any("hangup"):
		err = req.api.opts.Channels.HangupChannel(req.account.id, c.ID)
	case any("transfer"):
		err = req.transferChannel(c, data)
	case any("callflow"):
		err = req.callflowChannel(c, data)
	default:
		return nil, refusedCommand("action must be hangup, transfer or callflow", action)
	}
	if err != nil {
		return nil, req.missing(err, req.route.arg())
	}
	return &reply{status: http.StatusAccepted, data: appendTree(nil, action.(string)+" initiated")}, nil
}

func (req *request) transferChannel(c Channel, data map[string]any) error {
	target := stringAt(data, "target")
	if target == "" || len(target) > 256 {
		return oneError("target", "required", "Field is required but missing: the number to connect to", data["target"])
	}
	kind, leg := stringAt(data, "transfer-type"), stringAt(data, "leg")
	switch {
	case !slices.Contains([]string{"", "blind"}, kind):
		return oneError("transfer-type", "enum", "Only blind transfers can be asked for here", kind)
	case !slices.Contains([]string{"", "self", "bleg"}, leg):
		return oneError("leg", "enum", "Value must be self or bleg", leg)
	}
	id := c.ID
	if leg == "bleg" {
		id = c.OtherLeg
	}
	return req.moveChannel(id, target, "")
}

func (req *request) callflowChannel(c Channel, data map[string]any) error {
	id := stringAt(data, "id")
	var d store.Document
	err := error(badIdentifier(id))
	if bugle.ValidID(id) {
		d, err = req.api.get(req.ctx, req.account.id, TypeCallflow, id)
	}
	if isMissing(err) || !bugle.ValidID(id) {
		return oneError("id", "not_found", "The id of a callflow of the account", data["id"])
	}
	if err != nil {
		return err
	}
	return req.moveChannel(c.ID, "", d.ID)
}

func (req *request) moveChannel(id, number, callflowID string) error {
	err := req.api.opts.Channels.MoveChannel(req.ctx, req.account.id, id, number, callflowID)
	if err != nil && bugle.KindOf(err) == bugle.KindInvalid {
		return refusedCommand(errorText(err), id)
	}
	return err
}
