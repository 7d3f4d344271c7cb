// Package terminal writes for people: tables that fit 80 columns, color where there is a terminal, and a line of status
// that is drawn over while something takes its time.
package terminal
