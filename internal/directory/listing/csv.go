package listing

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// WriteCSV writes the listing as CSV in UTF-8: a heading, then a row for each person in the order of the PDF. Several
// numbers of a person share a cell, with "; " between them. A cell that a spreadsheet would run as a formula has an
// apostrophe before it; telephone numbers have not.
func (l *Listing) WriteCSV(ctx context.Context, w io.Writer) error {
	people, err := l.people(ctx)
	if err != nil {
		return err
	}
	rows := csv.NewWriter(w)
	_ = rows.Write([]string{"Last Name", "First Name", "Display Name", "Department", "Extensions", "Direct Numbers"})
	for i, e := range people {
		if i%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		direct := make([]string, len(e.Direct))
		for k, number := range e.Direct {
			direct[k] = l.number(number)
		}
		// The writer keeps its first error, which Error returns.
		_ = rows.Write([]string{safeCell(e.Family), safeCell(e.Given), safeCell(e.Display), safeCell(e.Department),
			safeCell(strings.Join(e.Extensions, "; ")), safeCell(strings.Join(direct, "; "))})
	}
	rows.Flush()
	if err := rows.Error(); err != nil {
		return fmt.Errorf("write the listing: %w", err)
	}
	return nil
}

// safeCell makes a value safe to open in a spreadsheet.
func safeCell(value string) string {
	value = strings.ToValidUTF8(strings.ReplaceAll(value, "\x00", ""), "\uFFFD")
	trimmed := strings.TrimLeft(value, " \t\r\n")
	if trimmed != "" && strings.ContainsRune("=+-@", rune(trimmed[0])) && strings.Trim(trimmed, "+0123456789-().; ") != "" {
		return "'" + value
	}
	return value
}
