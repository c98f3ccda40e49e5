"""How a run is trained: Keras' fit over what is left of it, what it shows, what it saves and when it stops."""
