package route_test

import (
	"fmt"

	"polynat/internal/route"
)

// With the blocks in place the default route can be exchanged; without them,
// everything is lost in between.
func ExampleJudge() {
	works := func(hop string) bool { return hop == "i-snat" }

	var table route.Table[string]
	table.Insert(route.Default(), "i-snat")
	for _, block := range route.Blocks() {
		table.Insert(block, "i-snat")
	}
	table.Delete(route.Default(), "i-snat")
	fmt.Println(len(route.Judge(&table, nil, works)), "findings")

	table.Delete(route.Blocks()[3], "i-snat")
	for _, lost := range route.Judge(&table, nil, works) {
		fmt.Println(lost)
	}
	// Output:
	// 0 findings
	// 8.0.0.0/5: no next hop
}
