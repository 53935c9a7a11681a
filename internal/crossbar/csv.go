package crossbar

import (
	"bytes"
	"encoding/csv"
	"maps"
	"slices"
	"strings"
)

const defaultCSVName = "result.csv"

// csvName is how a client that asked for CSV wants the file to be called.
func (req *request) csvName() string {
	name := req.http.Header.Get("X-File-Name")
	if given, ok := req.outerParam("file_name"); ok && name == "" {
		name = given
	}
	if name = safeName(clip(name, 200)); name == "" {
		return defaultCSVName
	}
	return name
}

// csvOf writes the rows of a list as CSV: a column for every key of any row, nested keys joined by "_", a header row in
// words. No rows make an empty text. RFC 4180 §2
func csvOf(data []byte) ([]byte, error) {
	v, err := parseUpTo(data, len(data)+1)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	rows := make([]map[string]string, len(list))
	columns := map[string]bool{}
	for i, row := range list {
		rows[i] = map[string]string{}
		flatten(rows[i], "", row)
		for name := range rows[i] {
			columns[name] = true
		}
	}
	if len(columns) == 0 {
		return nil, nil
	}
	order := slices.Sorted(maps.Keys(columns))
	if i := slices.Index(order, "id"); i > 0 {
		order = slices.Insert(slices.Delete(order, i, i+1), 0, "id")
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	record := make([]string, len(order))
	for i, name := range order {
		record[i] = friendly(name)
	}
	_ = w.Write(record) // a bytes.Buffer takes everything
	for _, row := range rows {
		for i, name := range order {
			record[i] = harmless(row[name])
		}
		_ = w.Write(record)
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// flatten spreads a value over columns. A list of plain values is one cell, separated by commas; one of objects is JSON.
func flatten(row map[string]string, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if name != "" {
				key = name + "_" + key
			}
			flatten(row, key, member)
		}
		return
	case []any:
		texts := make([]string, len(v))
		for i, member := range v {
			switch member.(type) {
			case map[string]any, []any:
				row[column(name)] = string(appendTree(nil, v))
				return
			}
			texts[i] = plain(member)
		}
		row[column(name)] = strings.Join(texts, ",")
		return
	}
	row[column(name)] = plain(v)
}

// column names what has no key: the list holds plain values.
func column(name string) string {
	if name == "" {
		return "value"
	}
	return name
}

// abbreviations are written in capitals in a header row.
var abbreviations = []string{"id", "ip", "url", "uri", "sip", "pin", "mac", "uuid", "dtmf", "api", "e164", "cnam", "tts"}

// friendly is a key in words: account_id is Account ID.
func friendly(key string) string {
	words := strings.FieldsFunc(key, func(r rune) bool { return r == '_' || r == ' ' })
	for i, word := range words {
		if slices.Contains(abbreviations, strings.ToLower(word)) {
			words[i] = strings.ToUpper(word)
			continue
		}
		r := []rune(word)
		words[i] = strings.ToUpper(string(r[0])) + string(r[1:])
	}
	if len(words) == 0 {
		return key
	}
	return harmless(strings.Join(words, " "))
}

// harmless keeps a spreadsheet from running a cell as a formula. What is a number, a phone number included, stays as it
// is.
func harmless(cell string) string {
	if cell == "" {
		return cell
	}
	switch cell[0] {
	case '=', '@', '\t', '\r':
		return "'" + cell
	case '+', '-':
		if strings.Trim(cell[1:], "0123456789 ().-") != "" || strings.ContainsAny(cell[1:], "-") && cell[0] == '-' {
			return "'" + cell
		}
	}
	return cell
}
