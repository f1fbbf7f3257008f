package livekit

import (
	"reflect"

	lksdk "github.com/livekit/server-sdk-go/v2"
)

// guardedCallback returns callbacks that run those of cb through run, which catches their panics: the SDK calls them on
// goroutines of its own, where a panic would end the process.
func guardedCallback(cb *lksdk.RoomCallback, run func(what string, f func())) *lksdk.RoomCallback {
	guarded := lksdk.NewRoomCallback()
	var wrap func(from, to reflect.Value)
	wrap = func(from, to reflect.Value) {
		for i := range from.NumField() {
			name, f := from.Type().Field(i).Name, from.Field(i)
			switch f.Kind() {
			case reflect.Struct:
				wrap(f, to.Field(i))
			case reflect.Func:
				if !f.IsNil() {
					to.Field(i).Set(reflect.MakeFunc(f.Type(), func(args []reflect.Value) []reflect.Value {
						run(name, func() { f.Call(args) })
						return nil // callbacks return nothing
					}))
				}
			}
		}
	}
	wrap(reflect.ValueOf(cb).Elem(), reflect.ValueOf(guarded).Elem())
	return guarded
}
