package alicloud_test

import (
	"context"
	"testing"

	"polynat/internal/sim"
	"polynat/internal/sim/alicloud"
)

func TestEveryTypeAndLookupOfTheSchemaIsSimulated(t *testing.T) {
	schema, cloud := alicloud.Schema(), alicloud.New(alicloud.Options{})
	if len(schema.Resources) != 15 || len(schema.Functions) != 11 {
		t.Errorf("%d types and %d lookups, want 15 and 11", len(schema.Resources), len(schema.Functions))
	}
	for token := range schema.Resources {
		if _, _, ok, err := cloud.Read(context.Background(), token, "nothing"); ok || err != nil {
			t.Errorf("read of a missing %s: ok %v, error %v", token, ok, err)
		}
		if err := cloud.Delete(context.Background(), sim.Request{Type: token, ID: "nothing"}); err != nil {
			t.Errorf("delete of a missing %s: %v", token, err)
		}
	}
	for token, f := range schema.Functions {
		args := sim.Object{}
		for name, p := range f.Args {
			if p.Required {
				args[name] = "nothing"
			}
		}
		_, err := cloud.Invoke(context.Background(), token, args)
		if err != nil && !alicloud.IsCode(err, alicloud.CodeNotFound) {
			t.Errorf("%s: %v", token, err)
		}
	}
}
