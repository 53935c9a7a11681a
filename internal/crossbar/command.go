package crossbar

import (
	"net/http"
	"slices"

	"bugle"
)

// channelActions are what can be done to a leg of a call. KAZOO knows more; what is not listed is refused.
var channelActions = []any{"hangup", "break", "transfer", "callflow", "intercept"}

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
	case any("break"):
		err = refusedChannel(c.ID, req.api.opts.Channels.BreakChannel(req.ctx, req.account.id, c.ID))
	case any("transfer"):
		err = req.transferChannel(c, data)
	case any("callflow"):
		err = req.callflowChannel(c, data)
	case any("intercept"):
		err = req.interceptChannel(c, data)
	default:
		return nil, refusedCommand("action must be hangup, break, transfer, callflow or intercept", action)
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
		if id = c.OtherLeg; id == "" {
			return refusedCommand("the channel talks to nobody: it has no other leg", c.ID)
		}
	}
	return req.moveChannel(id, Destination{Number: target})
}

func (req *request) callflowChannel(c Channel, data map[string]any) error {
	id, err := req.commandID(data, "id", TypeCallflow)
	if err != nil {
		return err
	}
	return req.moveChannel(c.ID, Destination{CallflowID: id})
}

// interceptChannel has a user's phones, or one device, take the leg from whoever has it or is rung for it.
func (req *request) interceptChannel(c Channel, data map[string]any) error {
	kind := stringAt(data, "target_type")
	if !slices.Contains([]string{TypeUser, TypeDevice}, kind) {
		return oneError("target_type", "enum", "Value must be user or device", data["target_type"])
	}
	id, err := req.commandID(data, "target_id", kind)
	if err != nil {
		return err
	}
	if kind == TypeUser {
		return req.moveChannel(c.ID, Destination{UserID: id})
	}
	return req.moveChannel(c.ID, Destination{DeviceID: id})
}

// commandID is the id of a document of the account that a command names.
func (req *request) commandID(data map[string]any, key, typ string) (string, error) {
	id := stringAt(data, key)
	if !bugle.ValidID(id) {
		return "", oneError(key, "not_found", "The id of a "+typ+" of the account", data[key])
	}
	_, err := req.api.get(req.ctx, req.account.id, typ, id)
	if isMissing(err) {
		err = oneError(key, "not_found", "The id of a "+typ+" of the account", data[key])
	}
	return id, err
}

func (req *request) moveChannel(id string, to Destination) error {
	return refusedChannel(id, req.api.opts.Channels.MoveChannel(req.ctx, req.account.id, id, to))
}

// refusedChannel tells why a call did not do as it was told.
func refusedChannel(id string, err error) error {
	if err != nil && bugle.KindOf(err) == bugle.KindInvalid {
		return refusedCommand(errorText(err), id)
	}
	return err
}
