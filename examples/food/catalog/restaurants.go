package catalog

// restaurants is never changed. The Outpost is so far out that no driver is near.
var restaurants = []Restaurant{
	{
		ID: "hinge-pizza", Title: "Pizzeria Hinge", Cuisine: "pizza",
		Address: "4 Hinge Street", Latitude: 45.0012, Longitude: 13.0030,
		Dishes: []Dish{
			{"margherita", "Margherita", "Tomato, mozzarella, basil", 850, 60},
			{"marinara", "Marinara", "Tomato, garlic, oregano", 750, 60},
			{"quattro-formaggi", "Quattro Formaggi", "Four cheeses, no regrets", 1150, 40},
			{"truffle", "Truffle", "What the truffle dog found this morning", 2450, 3},
			{"lemonade", "Lemonade", "Pressed to order", 390, 100},
		},
	},
	{
		ID: "janus-noodles", Title: "Two Faces Noodle House", Cuisine: "noodles",
		Address: "21 Janus Gate", Latitude: 45.0104, Longitude: 12.9915,
		Dishes: []Dish{
			{"dan-dan", "Dan Dan Noodles", "Sesame, chili, peanuts", 1090, 50},
			{"ramen", "Shoyu Ramen", "Soy broth, egg, scallions", 1290, 50},
			{"gyoza", "Gyoza", "Six dumplings with cabbage", 650, 80},
			{"green-tea", "Green Tea", "A pot for one", 320, 100},
		},
	},
	{
		ID: "keystone-curry", Title: "Keystone Curry", Cuisine: "indian",
		Address: "2 Keystone Square", Latitude: 44.9961, Longitude: 13.0112,
		Dishes: []Dish{
			{"dal", "Dal Makhani", "Black lentils, cooked since yesterday", 980, 50},
			{"paneer", "Palak Paneer", "Spinach and cheese", 1120, 40},
			{"naan", "Garlic Naan", "From the clay oven", 350, 100},
			{"mango-lassi", "Mango Lassi", "Sweet or salty", 420, 80},
		},
	},
	{
		ID: "latch-bakery", Title: "The Latch", Cuisine: "bakery",
		Address: "9 Latch Lane", Latitude: 45.0047, Longitude: 12.9968,
		Dishes: []Dish{
			{"rye", "Rye Loaf", "One kilogram", 560, 30},
			{"croissant", "Croissant", "Butter, and then butter", 260, 100},
			{"quiche", "Leek Quiche", "By the slice", 540, 24},
		},
	},
	{
		ID: "outpost-grill", Title: "The Outpost", Cuisine: "grill",
		Address: "1 Lighthouse Road", Latitude: 45.2600, Longitude: 13.2100,
		Dishes: []Dish{
			{"catch", "Catch of the Day", "Ask the gulls", 1890, 12},
			{"halloumi", "Grilled Halloumi", "With lemon", 1190, 20},
		},
	},
}
