package store

import (
	"context"
	"strings"
)

// batches are how many rows one statement writes. A database that is not in this process is a network away, and a group
// of records must not take as many journeys as it has rows.
var batches = []int{100, 30, 10, 3, 1}

// inBatches runs head, so many tuples of parameters, and tail until all rows are through.
func inBatches(ctx context.Context, t *transaction, head, tail string, rows [][]any) error {
	for _, size := range batches {
		for ; len(rows) >= size; rows = rows[size:] {
			args := make([]any, 0, size*len(rows[0]))
			for _, row := range rows[:size] {
				args = append(args, row...)
			}
			if _, err := t.exec(ctx, head+tuples(size, len(rows[0]))+tail, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// tuples is "(?, ?), (?, ?)" for two rows of two.
func tuples(rows, columns int) string {
	row := `(` + strings.Repeat(`?, `, columns-1) + `?)`
	return strings.Repeat(row+`, `, rows-1) + row
}
